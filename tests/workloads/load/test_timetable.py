"""When a load may send."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workloads.load.timetable import Timetable

FIELDS = {
    "begins": [0.0, 0.1, 0.5],
    "lengths": [0.02, 0.05, 0.02],
    "measured_from": 0.1,
    "measured_to": 0.6,
}
OWN = Timetable.read(FIELDS, epoch=100.0)


@pytest.mark.parametrize(
    ("now", "wait_s"),
    [
        (99.0, 1.0),
        (100.0, 0.0),
        (100.019, 0.0),
        (100.03, 0.07),
        (100.149, 0.0),
        (100.2, 0.3),
        (100.53, math.inf),
        (200.0, math.inf),
    ],
)
def test_requests_are_sent_within_own_slices(now: float, wait_s: float) -> None:
    assert OWN.wait_s(now) == pytest.approx(wait_s)


@given(st.floats(99.0, 101.0))
def test_who_waits_as_told_may_send(now: float) -> None:
    wait_s = OWN.wait_s(now)
    if math.isfinite(wait_s):
        assert OWN.wait_s(now + wait_s + 1e-9) == 0.0


def test_the_window_leaves_out_the_warm_up() -> None:
    assert OWN.window == pytest.approx((100.1, 100.6))


@pytest.mark.parametrize(
    "changes", [{"lengths": [0.02]}, {"begins": [0.5, 0.1, 0.0]}, {"begins": ["soon"] * 3}]
)
def test_a_timetable_that_contradicts_itself_is_refused(changes: dict[str, list[float]]) -> None:
    with pytest.raises(ValueError, match=r"go together|could not convert"):
        Timetable.read(FIELDS | changes, epoch=100.0)
