"""Tests of differences against worked examples, scipy and chance itself."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from harness.stats.intervals import Interval, geometric_interval
from harness.stats.significance import (
    Finding,
    blocks_for_precision,
    blocks_needed,
    blocks_needed_unpaired,
    holm,
    judge,
    permutation_p,
    sign_flip_p,
)

# Darwin's maize, the heights of crossed and self-fertilised plants in eighths of an inch, with
# which Fisher introduced the test (The Design of Experiments, 1935, section 21): of 32,768
# assignments of signs 1,726 give a sum at least as far from zero.
DARWIN = (49, -67, 8, 16, 6, 23, 28, 41, 14, 29, 56, 24, 75, 60, -48)


def test_fishers_own_example() -> None:
    # 15 pairs are just above what is enumerated, so this is a sample of 20,000 assignments.
    assert sign_flip_p(np.exp(DARWIN).tolist()) == pytest.approx(1726 / 32768, abs=0.006)


def test_exact_where_signs_agree() -> None:
    for blocks in range(1, 12):
        assert sign_flip_p([1.1 + 0.01 * n for n in range(blocks)]) == pytest.approx(2 / 2**blocks)


def test_a_ratio_and_its_inverse_are_equally_different() -> None:
    ratios = [0.9, 1.05, 0.88, 0.97, 0.93, 0.99]
    assert sign_flip_p(ratios) == sign_flip_p([1 / ratio for ratio in ratios])


def test_no_block_no_answer() -> None:
    assert math.isnan(sign_flip_p([]))


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


def test_blocks_needed_is_the_least_that_can_tell() -> None:
    for comparisons in (1, 4, 15):
        blocks = blocks_needed(comparisons)
        assert comparisons * 2 / 2**blocks <= 0.05 < comparisons * 2 / 2 ** (blocks - 1)


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
    called = [sign_flip_p(sample.tolist()) <= 0.05 for sample in samples]
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


def test_two_runs_that_do_not_overlap_have_the_least_p() -> None:
    base, new = [1.0, 1.01, 1.02, 1.03], [1.1, 1.11, 1.12, 1.13]
    assert permutation_p(new, base) == pytest.approx(2 / math.comb(8, 4))
    assert permutation_p(base, new) == pytest.approx(2 / math.comb(8, 4))


def test_two_runs_against_counting() -> None:
    # Of the 10 ways to divide {0, 1, 2, 4, 8} into 2 and 3, 1 gives a difference of means as high
    # as {4, 8} against {0, 1, 2}; the two-sided p-value is twice that.
    new, base = np.exp([4.0, 8.0]).tolist(), np.exp([0.0, 1.0, 2.0]).tolist()
    assert permutation_p(new, base) == pytest.approx(0.2)


def test_equal_runs_and_runs_too_short() -> None:
    assert permutation_p([84.0] * 5, [84.0] * 6) == pytest.approx(1)
    assert permutation_p([1.0], [2.0, 3.0]) == 1
    assert math.isnan(permutation_p([], [2.0, 3.0]))


def test_many_blocks_are_sampled_with_a_seed() -> None:
    random = np.random.default_rng(2)
    new, base = (np.exp(random.normal(0, 0.05, 12)).tolist() for _ in range(2))
    assert permutation_p(new, base, seed=3) == permutation_p(new, base, seed=3)


def test_two_equal_runs_are_called_different_no_more_often_than_promised() -> None:
    random = np.random.default_rng(4)
    called = 0
    for _ in range(400):
        new, base = (np.exp(random.normal(0, 0.05, 5)).tolist() for _ in range(2))
        called += permutation_p(new, base) <= 0.05
    assert stats.binom.sf(called - 1, 400, 0.05) > 0.001


def test_blocks_of_two_runs_needed() -> None:
    for comparisons in (1, 10, 50):
        blocks = blocks_needed_unpaired(comparisons)
        assert comparisons * 2 / math.comb(2 * blocks, blocks) <= 0.05
        assert comparisons * 2 / math.comb(2 * blocks - 2, blocks - 1) > 0.05
