"""What many targets with few blocks tell of each other's scatter."""

import math

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import stats

from harness.stats.intervals import geometric_interval
from harness.stats.moderation import FEWEST, UNKNOWN, Scatter, common_scatter
from harness.stats.significance import blocks_for_precision, paired_p

TARGETS, BLOCKS, TABLES = 17, 3, 400


def table(deviations: NDArray[np.float64], random: np.random.Generator) -> list[list[float]]:
    """Return a ratio a block of each target; the true ratio is 1."""
    logs = random.normal(0.0, deviations[:, None], size=(len(deviations), BLOCKS))
    return [list(map(float, row)) for row in np.exp(logs)]


def held(deviations: NDArray[np.float64]) -> tuple[NDArray[np.float64], float, float]:
    """Return how often each target's interval holds the truth, and the median widths.

    These are of moderated intervals, and of each target's own.
    """
    random = np.random.default_rng(16)
    counts = np.zeros(len(deviations))
    moderated, own = [], []
    for _ in range(TABLES):
        samples = table(deviations, random)
        scatter = common_scatter(samples)
        for place, values in enumerate(samples):
            interval = geometric_interval(values, scatter=scatter)
            counts[place] += interval.low <= 1 <= interval.high
            moderated.append(interval.width)
            own.append(geometric_interval(values).width)
    return counts / TABLES, float(np.median(moderated)), float(np.median(own))


def test_targets_that_scatter_alike_are_held_as_often_as_promised_and_known_better() -> None:
    share, moderated, own = held(np.full(TARGETS, 0.07))
    assert 0.93 <= share.mean() <= 0.975
    assert stats.binom.cdf(share.min() * TABLES, TABLES, 0.93) > 0.001
    assert moderated < 0.7 * own


@pytest.mark.parametrize("deviations", [(0.05, 0.08), (0.04, 0.08), (0.03, 0.12)])
def test_of_targets_that_scatter_differently_as_many_are_held_and_the_worst_hardly_less(
    deviations: tuple[float, float],
) -> None:
    share, moderated, own = held(np.repeat(deviations, [9, 8]))
    assert 0.93 <= share.mean() <= 0.97
    assert share[9:].mean() >= 0.88
    assert moderated < own


@pytest.mark.parametrize(("shared", "least"), [(0.05, 0.93), (0.1, 0.9)])
def test_blocks_that_move_all_ratios_alike_are_not_so_many_witnesses(
    shared: float, least: float
) -> None:
    """So does a block in which the baseline is slow."""
    random = np.random.default_rng(16)
    held = 0
    for _ in range(TABLES):
        own = random.normal(0.0, 0.05, size=(TARGETS, BLOCKS))
        samples = np.exp(own + random.normal(0.0, shared, size=BLOCKS))
        scatter = common_scatter([list(map(float, row)) for row in samples])
        for values in samples:
            interval = geometric_interval(list(map(float, values)), scatter=scatter)
            held += interval.low <= 1 <= interval.high
    assert least <= held / TABLES / TARGETS <= 0.97


def test_few_targets_keep_their_own_scatter() -> None:
    random = np.random.default_rng(1)
    samples = table(np.full(FEWEST - 1, 0.07), random)
    assert common_scatter(samples) == UNKNOWN
    assert common_scatter([*samples, [1.0]]) == UNKNOWN  # one block has no scatter
    assert common_scatter([*samples, [1.0, 1.0, 1.0]]) == UNKNOWN  # nor has one without any
    assert common_scatter([*samples, [1.0, 1.1, 0.9]]) != UNKNOWN


def test_no_more_is_known_than_all_targets_show() -> None:
    scatter = common_scatter(table(np.full(TARGETS, 0.07), np.random.default_rng(3)))
    assert 0 < scatter.freedom <= TARGETS * (BLOCKS - 1)
    assert scatter.variance == pytest.approx(0.07**2, rel=0.5)


def test_the_interval_the_p_value_and_the_blocks_needed_go_by_the_same_scatter() -> None:
    ratios, scatter = [0.93, 0.95, 0.91], Scatter(0.02**2, 30.0)
    interval = geometric_interval(ratios, scatter=scatter)
    assert interval.width < geometric_interval(ratios).width
    borderline = [one / interval.high for one in ratios]
    assert paired_p(borderline, scatter) == pytest.approx(0.05)
    needed = blocks_for_precision(ratios, 1.001 * interval.width, scatter)
    assert needed is not None
    assert needed <= len(ratios)
    assert math.isclose(paired_p(ratios), paired_p(ratios, UNKNOWN))
