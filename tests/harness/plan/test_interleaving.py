"""Which target is loaded when."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.plan.interleaving import FLANKED_S, LONGEST_S, SHORTEST_S, Pace, interleave, pace

FAST, SLOW = pace(5000, 8), pace(40, 8)
PACES = [FAST, pace(3000, 8), pace(400, 8), SLOW]


def test_a_slice_has_time_for_some_requests_and_is_no_shorter_than_asked() -> None:
    assert FAST.slice_s == SHORTEST_S
    assert SLOW.slice_s == pytest.approx(12 / 40)
    assert pace(5000, 8, shortest_s=0.1).slice_s == 0.1
    assert pace(100, 64).slice_s == pytest.approx(0.96)


def test_what_is_on_its_way_is_waited_for() -> None:
    assert SLOW.gap_s >= 8 / 40
    assert FAST.gap_s >= 8 / 5000


def test_a_target_that_does_not_answer_has_the_longest_slices() -> None:
    assert pace(0, 8).slice_s == LONGEST_S


@given(
    st.lists(st.floats(5, 20_000), min_size=1, max_size=6),
    st.floats(0.05, 1.0),
    st.integers(0, 99),
    st.booleans(),
)
def test_slices_never_overlap_and_each_target_gets_its_time(
    rates: list[float], seconds: float, seed: int, with_baseline: bool
) -> None:
    paces = [pace(rate, 8) for rate in rates]
    made = interleave(paces, 0 if with_baseline else None, seconds, 0.1, str(seed))
    for earlier, later in pairwise(made.slices):
        gap_s = later.begin_s - earlier.begin_s - earlier.length_s
        assert gap_s == pytest.approx(paces[earlier.place].gap_s)
    for place in range(len(paces)):
        measured = [one for one in made.of(place) if one.begin_s >= made.measured_from_s]
        assert len(measured) >= 2
        assert sum(one.length_s for one in measured) >= seconds - 1e-6 or with_baseline


def test_each_slice_is_flanked_by_the_baseline() -> None:
    made = interleave(PACES, 0, 0.5, 0.1, "1")
    measured = [one for one in made.slices if one.begin_s >= made.measured_from_s]
    assert measured[0].place == measured[-1].place == 0
    since_s = 0.0
    alone = 0
    for one in measured:
        if one.place == 0:
            since_s, alone = 0.0, 0
            continue
        since_s += one.length_s + PACES[one.place].gap_s
        alone += 1
        assert since_s <= FLANKED_S or alone == 1


@pytest.mark.parametrize("others", [1, 4, 16])
def test_the_baseline_has_the_more_time_the_more_are_compared_with_it(others: int) -> None:
    made = interleave([FAST] * (others + 1), 0, 0.8, 0.1, "1")
    lengths = [one.length_s for one in made.of(0) if one.begin_s >= made.measured_from_s]
    assert sum(lengths) >= 0.8 * others**0.5


def test_the_seed_decides_the_order() -> None:
    assert interleave(PACES, 0, 0.5, 0.1, "1") == interleave(PACES, 0, 0.5, 0.1, "1")
    assert interleave(PACES, 0, 0.5, 0.1, "1") != interleave(PACES, 0, 0.5, 0.1, "2")


def test_the_slices_of_a_target_are_spread_over_the_whole() -> None:
    made = interleave(PACES, 0, 0.5, 0.1, "3")
    length_s = made.measured_to_s - made.measured_from_s
    for place in range(len(PACES)):
        begins = [one.begin_s for one in made.of(place) if one.begin_s >= made.measured_from_s]
        assert begins[0] - made.measured_from_s < length_s / 2
        assert begins[-1] - made.measured_from_s > length_s / 2


def test_the_timetable_of_a_load_has_its_slices_only() -> None:
    made = interleave([Pace(0.02, 0.002)] * 2, 0, 0.06, 0.02, "1")
    fields = made.fields(1)
    assert fields["begins"] == [one.begin_s for one in made.of(1)]
    assert fields["measured_to"] == made.measured_to_s
