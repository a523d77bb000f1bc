"""Lines through costs: what went in comes out, and the large do not drown the small."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.costs.lines import PER_MIB, PER_PROCESS, arithmetic_interval, fit, line
from harness.costs.samples import Sample, Subject

SIZES = (10, 50, 100, 200, 400)


def sample(name: str, mib: int, number: int, us: float, pages: str = "small") -> Sample:
    subject = Subject("creation", name, f"{mib} MiB", heap_mib=mib, pages=pages)
    return Sample(subject, number, us, 5)


@given(st.floats(1, 1e4), st.floats(0, 100))
def test_points_on_a_line_give_that_line(intercept: float, slope: float) -> None:
    found = line([(size, intercept + slope * size) for size in SIZES])
    assert found == pytest.approx((intercept, slope), rel=1e-6, abs=1e-6)


def test_an_error_of_the_largest_does_not_move_what_is_left_for_the_smallest() -> None:
    points = [(size, 100.0 + 10 * size) for size in SIZES]
    points[-1] = (400, points[-1][1] * 1.05)
    intercept, slope = line(points)
    assert intercept == pytest.approx(100, rel=0.2)
    assert slope == pytest.approx(10, rel=0.05)


@pytest.mark.parametrize("points", [[(10, 5.0)], [(10, 5.0), (10, 6.0)], [(10, 5.0), (20, 0.0)]])
def test_no_line_goes_through_one_size_or_no_time(points: list[tuple[float, float]]) -> None:
    with pytest.raises(ValueError, match="two different sizes"):
        line(points)


def test_the_interval_is_of_the_rounds_lines() -> None:
    slopes = (9.0, 10.0, 11.0)
    samples = [
        sample("fork", size, number, 100 + slope * size)
        for number, slope in enumerate(slopes, start=1)
        for size in SIZES
    ]
    per_process, per_mib = fit(samples)
    expected = arithmetic_interval(slopes)
    assert (per_process.subject.parameter, per_mib.subject.parameter) == (PER_PROCESS, PER_MIB)
    assert per_process.value_us == pytest.approx(100)
    assert per_mib.value_us == pytest.approx(10)
    assert (per_mib.low_us, per_mib.high_us) == pytest.approx((expected.low, expected.high))
    assert per_mib.rounds == 3


def test_small_and_huge_pages_have_lines_of_their_own() -> None:
    samples = [
        sample("fork", size, 1, 100 + slope * size, pages)
        for pages, slope in (("small", 10), ("huge", 1))
        for size in SIZES
    ]
    slopes = {
        row.subject.parameter: row.value_us
        for row in fit(samples)
        if row.subject.parameter.startswith(PER_MIB)
    }
    assert slopes == pytest.approx({PER_MIB: 10, f"{PER_MIB}, huge pages": 1})


def test_one_size_gives_no_line() -> None:
    assert fit([sample("fork", 10, number, 100) for number in (1, 2)]) == []


def test_a_single_round_gives_no_interval() -> None:
    interval = arithmetic_interval([3.0])
    assert interval.mid == 3
    assert math.isnan(interval.low)
    assert math.isnan(interval.high)


def test_the_interval_of_a_slope_may_reach_below_zero() -> None:
    # By hand: mean 1, standard error 1/sqrt(3) * 2, t(2; 0.975) = 4.3027.
    interval = arithmetic_interval([-1.0, 1.0, 3.0])
    assert interval.mid == 1
    assert interval.low == pytest.approx(1 - 4.3027 * 2 / math.sqrt(3), rel=1e-4)
