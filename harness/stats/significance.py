"""Whether two targets differ. Pure: numbers in, verdicts out.

Strategy
========

**What is tested** are the log ratios of a target to the baseline, one a block (`stats` says why).
If the two do not differ, each ratio is as likely to be its inverse: the sign-flip permutation
test (Fisher 1935; Good, *Permutation Tests*, 3.2) counts how many of all assignments of signs
give a mean at least as far from zero. It assumes nothing of the distribution.

**Two runs** have no pairs. If they do not differ, any block could as well be the other run's:
the permutation test (Fisher 1935; Good, 3.1) counts how many of all ways to divide the blocks
give means at least as far apart.

**What that costs.** Of n blocks there are 2^n assignments, so no p-value is below 2/2^n: with
five blocks 0.06, whatever the numbers. `blocks_needed` says how many a table of comparisons takes.
Two runs of n blocks divide in (2n)!/n!^2 ways: with five blocks each the least p-value is 0.008,
which a table of seven comparisons uses up; `blocks_needed_unpaired` is for these.

**Many comparisons.** With fifteen targets, one in two runs would call something different by
chance at 5%. Holm's step-down correction (1979) keeps that to 5% for the whole table.

**Small is not nothing, nor something.** A difference below the smallest effect of interest does
not matter, however certain. So there are four answers: faster, slower, the same within that
effect (the whole interval lies inside), or not shown.
"""

from __future__ import annotations

import enum
import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from harness.stats.intervals import CONFIDENCE, Interval

SMALLEST_EFFECT = 0.03
_ASSIGNMENTS = 20_000  # of signs: all of them up to 14 blocks, a seeded sample above


class Finding(enum.StrEnum):
    """What can be said of a target beside another."""

    HIGHER = "higher"
    LOWER = "lower"
    SAME = "same"
    UNSHOWN = "not shown"


def sign_flip_p(ratios: Sequence[float], seed: int = 0) -> float:
    """Return the two-sided p-value of "the true ratio is 1" for one ratio a block.

    Exact up to 14 blocks; above, from a seeded sample of the assignments of signs. NaN where
    there is no block.
    """
    if len(ratios) < 2:
        return 1.0 if ratios else math.nan
    logs = np.log(np.asarray(ratios, dtype=np.float64))
    result = stats.permutation_test(
        (logs,),
        _mean,
        permutation_type="samples",
        vectorized=True,
        n_resamples=_ASSIGNMENTS,
        rng=np.random.default_rng(seed),
    )
    return float(result.pvalue)


def permutation_p(values: Sequence[float], baseline: Sequence[float], seed: int = 0) -> float:
    """Return the two-sided p-value of "the two runs do not differ", from one value a block of each.

    Exact up to eight blocks each; above, from a seeded sample of the divisions. NaN where one of
    them has no block, 1 where one has only one.
    """
    if min(len(values), len(baseline)) < 2:
        return math.nan if min(len(values), len(baseline)) == 0 else 1.0
    result = stats.permutation_test(
        tuple(np.log(np.asarray(side, dtype=np.float64)) for side in (values, baseline)),
        _difference,
        permutation_type="independent",
        vectorized=True,
        n_resamples=_ASSIGNMENTS,
        rng=np.random.default_rng(seed),
    )
    return float(result.pvalue)


def _difference(
    values: NDArray[np.float64], baseline: NDArray[np.float64], axis: int = -1
) -> NDArray[np.float64]:
    return np.asarray(values.mean(axis=axis) - baseline.mean(axis=axis))


def _mean(logs: NDArray[np.float64], axis: int = -1) -> NDArray[np.float64]:
    return np.asarray(logs.mean(axis=axis))


def holm(p_values: Sequence[float]) -> list[float]:
    """Return p-values adjusted for their number (Holm 1979), in the order given.

    NaN stands for a comparison that was not made: it stays NaN and does not count.
    """
    made = sorted((value, place) for place, value in enumerate(p_values) if not math.isnan(value))
    adjusted = [math.nan] * len(p_values)
    highest = 0.0
    for rank, (value, place) in enumerate(made):
        highest = max(highest, min(1.0, (len(made) - rank) * value))
        adjusted[place] = highest
    return adjusted


def blocks_needed(comparisons: int, confidence: float = CONFIDENCE) -> int:
    """Return the least number of blocks with which the least p-value can pass Holm's correction."""
    return math.ceil(math.log2(2 * max(comparisons, 1) / (1 - confidence)))


def blocks_needed_unpaired(comparisons: int, confidence: float = CONFIDENCE) -> int:
    """Return the least number of blocks of each of two runs, as `blocks_needed` does for one."""
    blocks = 2
    while max(comparisons, 1) * 2 / math.comb(2 * blocks, blocks) > 1 - confidence:
        blocks += 1
    return blocks


def judge(
    ratio: Interval,
    p_value: float,
    smallest_effect: float = SMALLEST_EFFECT,
    confidence: float = CONFIDENCE,
) -> Finding:
    """Return what a ratio's interval and its adjusted p-value show together.

    `smallest_effect` is a share: 0.03 takes ratios from 1/1.03 to 1.03 for the same.
    """
    reach = math.log1p(smallest_effect)
    if ratio.low > math.exp(-reach) and ratio.high < math.exp(reach):
        return Finding.SAME
    if p_value <= 1 - confidence and abs(math.log(ratio.mid)) >= reach:
        return Finding.HIGHER if ratio.mid > 1 else Finding.LOWER
    return Finding.UNSHOWN


def blocks_for_precision(ratios: Sequence[float], wanted: float) -> int | None:
    """Return how many blocks would give an interval of plus or minus `wanted`, a share.

    From the spread of the blocks there are; None where two blocks are not there to tell it.
    """
    if len(ratios) < 2:
        return None
    spread = float(np.log(np.asarray(ratios, dtype=np.float64)).std(ddof=1))
    reach = math.log1p(wanted)
    blocks = 2
    while float(stats.t.ppf(0.5 + CONFIDENCE / 2, blocks - 1)) * spread / math.sqrt(blocks) > reach:
        blocks += 1 if blocks < 100 else blocks // 10
    return blocks
