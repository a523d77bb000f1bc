"""Changes of level: found where they are, and almost never where none is."""

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.stats.change_points import LEVEL, change_points


def series(levels: Sequence[float], runs: Sequence[int], scatter: float = 0.01) -> list[float]:
    """Return runs that measured these levels, so many of each, with a known scatter."""
    random = np.random.default_rng(3)
    means = np.repeat(np.asarray(levels), runs)
    return [float(value) for value in means * random.lognormal(0, scatter, len(means))]


@pytest.mark.parametrize(
    ("levels", "runs", "places"),
    [
        ((100, 110), (5, 5), [5]),
        ((100, 90), (12, 3), [12]),
        ((100, 110, 100), (6, 5, 6), [6, 11]),
        ((100, 110, 121, 90), (8, 8, 8, 8), [8, 16, 24]),
        ((100, 100), (10, 10), []),
        ((100, 200), (3, 1), []),
        ((100, 200), (1, 1), []),
    ],
)
def test_a_change_is_found_where_it_is(
    levels: Sequence[float], runs: Sequence[int], places: list[int]
) -> None:
    assert [shift.place for shift in change_points(series(levels, runs))] == places


def test_a_change_comes_with_its_size_and_its_interval() -> None:
    (shift,) = change_points(series((100, 90), (8, 8)))
    assert shift.ratio.low < 0.9 < shift.ratio.high
    assert shift.ratio.high - shift.ratio.low < 0.05
    assert shift.p_value <= LEVEL


def test_a_single_odd_run_is_no_change() -> None:
    values = series((100,), (12,))
    values[6] *= 1.5
    assert change_points(values) == ()


def test_a_change_too_small_to_matter_is_none() -> None:
    values = series((100, 102), (20, 20), scatter=0.001)
    assert change_points(values) == ()
    assert len(change_points(values, smallest_effect=0.01)) == 1


def test_values_that_are_all_the_same_have_no_change_and_exact_ones_do() -> None:
    assert change_points([64.0] * 9) == ()
    assert [shift.place for shift in change_points([64.0] * 4 + [80.0] * 4)] == [4]


def test_of_histories_without_a_change_at_most_one_in_twenty_shows_one() -> None:
    random = np.random.default_rng(5)
    lengths = (4, 7, 12, 25)
    found = [
        bool(change_points(random.lognormal(0, 0.05, count).tolist(), smallest_effect=1e-6))
        for count in lengths
        for _ in range(150)
    ]
    assert np.mean(found) <= LEVEL


@given(st.lists(st.floats(0.001, 1e9), max_size=30))
def test_whatever_the_values_each_change_lies_within_them(values: list[float]) -> None:
    places = [shift.place for shift in change_points(values)]
    assert places == sorted(set(places))
    assert all(2 <= place <= len(values) - 2 for place in places)


@pytest.mark.parametrize("value", [0.0, -1.0, float("nan"), float("inf")])
def test_what_has_no_logarithm_is_refused(value: float) -> None:
    with pytest.raises(ValueError, match="positive"):
        change_points([1.0, value, 1.0, 1.0])
