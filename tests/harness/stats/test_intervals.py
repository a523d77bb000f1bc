"""Intervals against SciPy, worked examples, properties and a simulation of their coverage."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats as scipy_stats

from harness.stats.intervals import (
    Interval,
    bootstrap_interval,
    geometric_interval,
    has_quantile,
    quantile_ranks,
    ratio_interval,
    unpaired_ratio,
)

positive = st.floats(1e-3, 1e6)
blocks = st.lists(positive, min_size=2, max_size=12)


def test_interval_agrees_with_scipy_on_the_logarithms() -> None:
    values = [102.0, 98.0, 110.0, 95.0, 101.0]
    logs = np.log(values)
    low, high = scipy_stats.t.interval(0.95, 4, loc=logs.mean(), scale=scipy_stats.sem(logs))
    interval = geometric_interval(values)
    assert interval.low == pytest.approx(math.exp(low))
    assert interval.high == pytest.approx(math.exp(high))
    assert interval.mid == pytest.approx(scipy_stats.gmean(values))


def test_worked_example() -> None:
    # logs 0 and 2: mean 1, standard error 1, t(0.975, 1) = 12.706
    interval = geometric_interval([1.0, math.exp(2)])
    assert math.log(interval.mid) == pytest.approx(1)
    assert math.log(interval.high) == pytest.approx(1 + 12.7062, abs=1e-4)


# Cushny and Peebles' hours of sleep gained by two drugs, with which Student introduced his test
# (The Probable Error of a Mean, 1908); the intervals are those of t.test in R's own documentation
# of its data set `sleep`. Hours are differences, so they stand for logarithms here.
DEXTRO = (0.7, -1.6, -0.2, -1.2, -0.1, 3.4, 3.7, 0.8, 0.0, 2.0)
LAEVO = (1.9, 0.8, 1.1, 0.1, -0.1, 4.4, 5.5, 1.6, 4.6, 3.4)


def test_students_own_example() -> None:
    interval = ratio_interval(np.exp(LAEVO).tolist(), np.exp(DEXTRO).tolist())
    logs = [math.log(end) for end in (interval.low, interval.mid, interval.high)]
    assert logs == pytest.approx([0.7001142, 1.58, 2.4598858], abs=1e-6)


def test_the_same_without_pairs() -> None:
    ratio = unpaired_ratio(np.exp(LAEVO).tolist(), np.exp(DEXTRO).tolist())
    assert ratio.freedom == pytest.approx(17.776, abs=1e-3)
    assert ratio.mean / ratio.error == pytest.approx(1.8608, abs=1e-4)
    interval = ratio.interval()
    logs = [math.log(end) for end in (interval.low, interval.high)]
    assert logs == pytest.approx([-0.2054832, 3.3654832], abs=1e-6)


def test_one_block_has_no_interval_and_none_has_nothing() -> None:
    one = geometric_interval([5.0])
    assert one.mid == pytest.approx(5)
    assert math.isnan(one.low)
    assert math.isnan(one.high)
    assert math.isnan(one.width)
    assert math.isnan(geometric_interval([]).mid)
    assert math.isnan(ratio_interval([], []).mid)


@pytest.mark.parametrize("bad", [0.0, -1.0, math.nan, math.inf])
def test_only_positive_numbers(bad: float) -> None:
    with pytest.raises(ValueError, match="positive"):
        geometric_interval([1.0, bad])


def test_pairs_need_equal_lengths() -> None:
    with pytest.raises(ValueError, match="cannot be paired"):
        ratio_interval([1.0, 2.0], [1.0])


def test_width_is_half_the_interval() -> None:
    assert Interval(1 / 1.1, 1.0, 1.1).width == pytest.approx(0.1)


def test_a_slow_block_cancels_in_the_ratio() -> None:
    weather = np.array([1.0, 0.5, 2.0, 0.9, 1.1])
    interval = ratio_interval((50 * weather).tolist(), (100 * weather).tolist())
    assert interval.low == pytest.approx(0.5)
    assert interval.high == pytest.approx(0.5)


@given(blocks)
def test_interval_encloses_its_middle(values: list[float]) -> None:
    interval = geometric_interval(values)
    slack = 1 + 1e-9
    assert 0 <= interval.low <= interval.mid * slack
    assert interval.mid <= interval.high * slack


@given(blocks, st.floats(0.01, 100))
def test_interval_scales_with_its_unit(values: list[float], factor: float) -> None:
    scaled = geometric_interval([factor * value for value in values])
    assert scaled.mid == pytest.approx(factor * geometric_interval(values).mid)


@given(st.lists(st.tuples(positive, positive), min_size=2, max_size=12))
def test_ratio_turned_round_is_its_inverse(pairs: list[tuple[float, float]]) -> None:
    above, below = ([pair[side] for pair in pairs] for side in (0, 1))
    there, back = ratio_interval(above, below), ratio_interval(below, above)
    assert math.log(there.mid) == pytest.approx(-math.log(back.mid), abs=1e-6)


def test_two_runs_agree_with_scipys_welch() -> None:
    new, base = [98.0, 105.0, 110.0, 101.0], [120.0, 90.0, 150.0, 99.0, 130.0, 104.0]
    result = scipy_stats.ttest_ind(np.log(new), np.log(base), equal_var=False)
    ends = result.confidence_interval(0.95)
    ratio = unpaired_ratio(new, base)
    assert ratio.freedom == pytest.approx(result.df)
    assert ratio.interval().low == pytest.approx(math.exp(ends.low))
    assert ratio.interval().high == pytest.approx(math.exp(ends.high))
    assert ratio.p_not_below(1) == pytest.approx(
        scipy_stats.ttest_ind(np.log(new), np.log(base), equal_var=False, alternative="less").pvalue
    )
    assert ratio.p_not_above(1) == pytest.approx(1 - ratio.p_not_below(1))


def test_the_interval_ends_where_the_one_sided_tests_do() -> None:
    ratio = unpaired_ratio([98.0, 105.0, 110.0], [120.0, 90.0, 150.0, 99.0])
    assert ratio.p_not_below(ratio.interval().high) == pytest.approx(0.025)
    assert ratio.p_not_above(ratio.interval().low) == pytest.approx(0.025)


def test_two_runs_without_scatter_are_certain() -> None:
    ratio = unpaired_ratio([90.0] * 5, [100.0] * 3)
    assert ratio.interval().low == pytest.approx(0.9)
    assert ratio.interval().high == pytest.approx(0.9)
    assert (ratio.p_not_below(0.95), ratio.p_not_below(0.85)) == (0, 1)
    assert (ratio.p_not_above(0.95), ratio.p_not_above(0.85)) == (1, 0)


def test_two_runs_with_too_little_to_say() -> None:
    one = unpaired_ratio([90.0], [100.0, 101.0])
    assert one.interval().mid == pytest.approx(0.9, abs=0.01)
    assert math.isnan(one.interval().low)
    assert math.isnan(one.p_not_below(0.95))
    assert math.isnan(unpaired_ratio([], [100.0]).interval().mid)
    with pytest.raises(ValueError, match="positive"):
        unpaired_ratio([0.0], [1.0])


@given(blocks, blocks)
def test_two_runs_turned_round(above: list[float], below: list[float]) -> None:
    there, back = unpaired_ratio(above, below), unpaired_ratio(below, above)
    assert there.mean == pytest.approx(-back.mean)
    assert there.error == pytest.approx(back.error)


def test_the_interval_of_two_runs_covers_as_claimed() -> None:
    random = np.random.default_rng(20260301)
    covered = 0
    for _ in range(2000):
        new = np.exp(0.1 * random.standard_normal(5)).tolist()
        base = np.exp(0.03 * random.standard_normal(7)).tolist()
        interval = unpaired_ratio(new, base).interval()
        covered += interval.low <= 1 <= interval.high
    assert covered / 2000 == pytest.approx(0.95, abs=0.015)


def _coverages(blocks: int, repeats: int) -> tuple[float, float]:
    """Return how often the t interval and a percentile bootstrap hold the true value, 1."""
    random = np.random.default_rng(20260301)
    samples = np.exp(0.1 * random.standard_normal((repeats, blocks)))
    student = bootstrap = 0
    for sample in samples:
        interval = geometric_interval(sample.tolist())
        student += interval.low <= 1 <= interval.high
        draws = np.log(sample)[random.integers(0, blocks, (400, blocks))].mean(axis=1)
        low, high = np.quantile(draws, [0.025, 0.975])
        bootstrap += low <= 0 <= high
    return student / repeats, bootstrap / repeats


def test_five_blocks_need_student_and_not_the_bootstrap() -> None:
    student, bootstrap = _coverages(blocks=5, repeats=2000)
    assert student == pytest.approx(0.95, abs=0.015)
    assert bootstrap < 0.88


def test_ranks_of_a_textbook_median() -> None:
    # n = 10: the 2nd and 9th order statistics, which hold the median with 97.9%.
    assert quantile_ranks(10, 0.5) == (2, 9)


def test_small_samples_support_no_high_quantile() -> None:
    # The largest of n must lie above the quantile with 97.5%: n >= ln 0.025 / ln 0.99 = 367.04.
    assert quantile_ranks(0, 0.5) is None
    assert quantile_ranks(367, 0.99) is None
    assert quantile_ranks(368, 0.99) is not None


@given(st.integers(1, 100_000), st.floats(0.01, 0.9999))
def test_a_quantile_is_known_where_both_ends_are_values_of_the_sample(
    count: int, quantile: float
) -> None:
    low = scipy_stats.binom.ppf(0.025, count, quantile)
    high = scipy_stats.binom.ppf(0.975, count, quantile) + 1
    assert has_quantile(count, quantile) == (low >= 1 and high <= count)


@given(st.integers(1, 100_000), st.floats(0.01, 0.9999))
def test_ranks_cover_as_claimed(count: int, quantile: float) -> None:
    ranks = quantile_ranks(count, quantile)
    if ranks is None:
        return
    low, high = ranks
    assert 1 <= low < high <= count
    covered = scipy_stats.binom.cdf(high - 1, count, quantile) - scipy_stats.binom.cdf(
        low - 1, count, quantile
    )
    assert covered >= 0.95 - 1e-9
    assert low == scipy_stats.binom.ppf(0.025, count, quantile)
    assert high == scipy_stats.binom.ppf(0.975, count, quantile) + 1


def test_the_bootstrap_agrees_with_t_where_there_are_many_blocks() -> None:
    ratios = np.exp(np.random.default_rng(3).normal(0.1, 0.05, 60)).tolist()
    t, bootstrap = geometric_interval(ratios), bootstrap_interval(ratios)
    assert bootstrap.mid == t.mid
    assert bootstrap.low == pytest.approx(t.low, abs=0.003)
    assert bootstrap.high == pytest.approx(t.high, abs=0.003)
    assert bootstrap_interval(ratios) == bootstrap


def test_bca_does_not_mend_what_a_bootstrap_of_five_blocks_lacks() -> None:
    random = np.random.default_rng(20260301)
    covered = 0
    for _ in range(200):
        interval = bootstrap_interval(np.exp(0.1 * random.standard_normal(5)).tolist())
        covered += interval.low <= 1 <= interval.high
    assert covered / 200 < 0.90


def test_the_bootstrap_of_few_or_equal_blocks() -> None:
    assert math.isnan(bootstrap_interval([]).mid)
    one = bootstrap_interval([1.5])
    assert one.mid == pytest.approx(1.5)
    assert math.isnan(one.low)
    assert bootstrap_interval([1.5, 1.5, 1.5]).width == 0
    five = [1.0, 1.1, 0.9, 1.05, 1.02]
    assert bootstrap_interval(five).width < geometric_interval(five).width
    with pytest.raises(ValueError, match="positive"):
        bootstrap_interval([1.0, 0.0])
