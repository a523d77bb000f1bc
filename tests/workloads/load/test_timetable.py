"""Who may send when."""

import math
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workloads.load.timetable import GAP, Timetable

OWN = Timetable(epoch=100.0, slice_s=0.02, loads=3, place=1, warmup=2, rounds=6, seed=5)
EVERYBODY = [replace(OWN, place=place) for place in range(3)]


def test_in_each_round_each_load_has_one_slice() -> None:
    for number in range(OWN.rounds):
        begins = sorted(one.begin(number) for one in EVERYBODY)
        start = OWN.epoch + number * OWN.round_s
        assert begins == pytest.approx([start + place * 0.02 * (1 + GAP) for place in range(3)])


def test_the_order_varies_and_is_the_same_for_all_who_ask() -> None:
    orders = {
        tuple(sorted(EVERYBODY, key=lambda one: one.begin(number))) for number in range(OWN.rounds)
    }
    assert len(orders) > 1


@given(st.floats(99.9, 100.5))
def test_never_may_two_send_at_the_same_moment(now: float) -> None:
    assert sum(one.wait_s(now) == 0 for one in EVERYBODY) <= 1


@given(st.floats(99.9, 100.5))
def test_who_waits_as_long_as_told_may_send(now: float) -> None:
    wait_s = OWN.wait_s(now)
    assert math.isinf(wait_s) or OWN.wait_s(now + wait_s + 1e-6) == 0


def test_after_the_last_slice_nobody_may() -> None:
    assert all(math.isinf(one.wait_s(OWN.window[1])) for one in EVERYBODY)


def test_own_time_leaves_out_the_slices_of_others() -> None:
    for number in range(OWN.rounds):
        begin = OWN.begin(number)
        assert OWN.own_time(begin + 0.005) == pytest.approx(100.0 + number * 0.02 + 0.005)
        # Completed in the gap: still of this slice.
        assert OWN.own_time(begin + 0.0205) < 100.0 + (number + 1) * 0.02


@given(st.lists(st.floats(100.0, 100.5), min_size=2))
def test_own_time_never_goes_back(moments: list[float]) -> None:
    own = [OWN.own_time(at) for at in sorted(moments)]
    assert own == sorted(own)


def test_the_measured_rounds_are_those_after_the_warm_up() -> None:
    assert OWN.window == pytest.approx((100 + 2 * OWN.round_s, 100 + 6 * OWN.round_s))
    assert OWN.own_window == pytest.approx((100.04, 100.12))
    assert OWN.own_window[0] <= OWN.own_time(OWN.begin(2)) < OWN.own_window[1]


def test_it_is_read_from_its_fields() -> None:
    fields = {"slice_s": 0.02, "loads": 3, "place": 1, "warmup": 2, "rounds": 6, "seed": 5}
    assert Timetable.read(fields, 100.0) == OWN
