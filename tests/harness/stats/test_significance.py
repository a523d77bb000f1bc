"""Tests of differences against worked examples, scipy and chance itself."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from scipy import stats

from harness.stats.intervals import Interval, geometric_interval, unpaired_ratio
from harness.stats.significance import (
    Finding,
    blocks_for_precision,
    holm,
    judge,
    paired_p,
    unpaired_p,
)

# Darwin's maize, the heights of crossed and self-fertilised plants in eighths of an inch, of which
# Fisher gives t = 2.148 with 14 degrees of freedom (The Design of Experiments, 1935, section 17).
DARWIN = (49, -67, 8, 16, 6, 23, 28, 41, 14, 29, 56, 24, 75, 60, -48)


def test_fishers_own_example() -> None:
    assert paired_p(np.exp(DARWIN).tolist()) == pytest.approx(2 * stats.t.sf(2.148, 14), abs=1e-4)


@given(st.lists(st.floats(0.5, 2.0), min_size=3, max_size=9, unique=True))
def test_the_test_and_the_interval_say_the_same(ratios: list[float]) -> None:
    interval = geometric_interval(ratios)
    assume(abs(math.log(interval.low)) > 1e-6)
    assume(abs(math.log(interval.high)) > 1e-6)
    assert (paired_p(ratios) < 0.05) == (not interval.low <= 1 <= interval.high)


def test_a_ratio_and_its_inverse_are_equally_different() -> None:
    ratios = [0.9, 1.05, 0.88, 0.97, 0.93, 0.99]
    assert paired_p(ratios) == pytest.approx(paired_p([1 / ratio for ratio in ratios]))


def test_few_blocks_can_show_a_difference() -> None:
    assert paired_p([0.30, 0.31, 0.29, 0.30, 0.305]) < 0.05 / 14


def test_no_block_no_answer_and_blocks_that_are_all_alike() -> None:
    assert math.isnan(paired_p([]))
    assert paired_p([1.2]) == 1
    assert paired_p([1.0] * 4) == 1
    assert paired_p([1.2] * 4) == 0


def test_holm_gives_what_r_gives() -> None:
    # In R: p.adjust(c(0.01, 0.02, 0.03, 0.005), "holm")
    assert holm([0.01, 0.02, 0.03, 0.005]) == pytest.approx([0.03, 0.04, 0.04, 0.02])


def test_holm_leaves_out_what_was_not_compared() -> None:
    adjusted = holm([0.01, math.nan, 0.04])
    assert adjusted[0] == pytest.approx(0.02)
    assert math.isnan(adjusted[1])
    assert adjusted[2] == pytest.approx(0.04)


@given(st.lists(st.floats(0, 1), min_size=1, max_size=20))
def test_holm_keeps_order_and_never_lowers(p_values: list[float]) -> None:
    adjusted = holm(p_values)
    assert all(after >= before for before, after in zip(p_values, adjusted, strict=True))
    assert all(after <= 1 for after in adjusted)
    by_value = [after for _, after in sorted(zip(p_values, adjusted, strict=True))]
    assert by_value == sorted(by_value)


@pytest.mark.parametrize(
    ("low", "mid", "high", "p_value", "finding"),
    [
        (1.05, 1.10, 1.15, 0.01, Finding.HIGHER),
        (0.85, 0.90, 0.95, 0.01, Finding.LOWER),
        (0.99, 1.00, 1.01, 0.80, Finding.SAME),
        (1.01, 1.015, 1.02, 0.001, Finding.SAME),
        (0.90, 1.10, 1.30, 0.20, Finding.UNSHOWN),
        (1.05, 1.10, 1.15, 0.06, Finding.UNSHOWN),
        (math.nan, 1.5, math.nan, 1.0, Finding.UNSHOWN),
        (math.nan, 1.5, math.nan, math.nan, Finding.UNSHOWN),
    ],
)
def test_four_answers(
    low: float, mid: float, high: float, p_value: float, finding: Finding
) -> None:
    assert judge(Interval(low, mid, high), p_value) is finding


def test_chance_is_called_a_difference_no_more_often_than_promised() -> None:
    random = np.random.default_rng(1)
    samples = np.exp(random.normal(0, 0.05, (400, 8)))
    called = [paired_p(sample.tolist()) <= 0.05 for sample in samples]
    assert stats.binom.sf(sum(called) - 1, 400, 0.05) > 0.001


def test_more_blocks_for_more_precision() -> None:
    ratios = [1.0, 1.1, 0.95, 1.04, 0.98]
    loose, tight = (blocks_for_precision(ratios, wanted) for wanted in (0.1, 0.02))
    assert loose is not None
    assert tight is not None
    assert 2 <= loose < tight
    width = geometric_interval(ratios).width
    assert (blocks_for_precision(ratios, width * 1.01) or 0) <= len(ratios)
    assert blocks_for_precision([1.0], 0.05) is None
    assert blocks_for_precision([1.0, 1.0, 1.0], 0.05) == 2


def test_two_runs_are_tested_as_welch_does() -> None:
    new, base = [1.1, 1.16, 1.12, 1.13], [1.0, 1.01, 1.02, 1.03, 0.9]
    expected = stats.ttest_ind(np.log(new), np.log(base), equal_var=False).pvalue
    assert unpaired_p(unpaired_ratio(new, base)) == pytest.approx(expected)


def test_equal_runs_and_runs_too_short() -> None:
    assert unpaired_p(unpaired_ratio([84.0] * 5, [84.0] * 6)) == 1
    assert unpaired_p(unpaired_ratio([1.0], [2.0, 3.0])) == 1
    assert math.isnan(unpaired_p(unpaired_ratio([], [2.0, 3.0])))


def test_two_equal_runs_are_called_different_no_more_often_than_promised() -> None:
    random = np.random.default_rng(4)
    called = 0
    for _ in range(400):
        new, base = (np.exp(random.normal(0, 0.05, 5)).tolist() for _ in range(2))
        called += unpaired_p(unpaired_ratio(new, base)) <= 0.05
    assert stats.binom.sf(called - 1, 400, 0.05) > 0.001
