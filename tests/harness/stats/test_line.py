"""A line through points, and its interval."""

import math

import numpy as np
import pytest

from harness.stats.line import fit


def test_a_line_without_noise_is_found_exactly() -> None:
    line = fit([(n, 20 + 2.5 * n) for n in (1, 10, 100, 1000)])
    assert line.start == pytest.approx(20)
    assert line.slope.mid == pytest.approx(2.5)
    assert line.slope.low == pytest.approx(2.5)
    assert line.at(10) == pytest.approx(45)
    assert line.tenants_in(270) == pytest.approx(100)


def test_two_points_have_no_interval() -> None:
    slope = fit([(1, 1.0), (2, 3.0)]).slope
    assert slope.mid == pytest.approx(2)
    assert math.isnan(slope.low)


def test_points_of_one_number_make_no_line() -> None:
    with pytest.raises(ValueError, match="two numbers"):
        fit([(5, 1.0), (5, 2.0)])


def test_the_interval_holds_the_truth_as_often_as_it_says() -> None:
    chance = np.random.default_rng(1)
    x = [1.0, 10.0, 100.0, 1000.0] * 2
    hits = 0
    for _ in range(400):
        y = [20 + 2 * one + chance.normal(0, 30) for one in x]
        slope = fit(list(zip(x, y, strict=True))).slope
        hits += slope.low <= 2 <= slope.high
    assert 0.91 < hits / 400 < 0.98


def test_what_costs_nothing_to_be_seen_fits_without_end() -> None:
    assert fit([(1, 20.0), (10, 21.0), (100, 20.0)]).tenants_in(1000) == math.inf
