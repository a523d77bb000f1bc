"""Whether two targets differ. Pure: numbers in, verdicts out.

Strategy
========

**What is tested** are the log ratios of a target to the baseline, one a block (`intervals` says
why), by Student's paired t test: whether their mean is 0. It is the test that belongs to the
interval that is shown, with the same scatter (`moderation`): a p-value below 5% means that the 95%
interval does not hold 1. A ratio of a block is itself a mean over many slices or requests, hence
near enough to normal.

**Two runs** have no pairs: what is tested are the two means of logarithms, by Welch's t (1947), the
test of `intervals.unpaired_ratio`.

**Why not a permutation test.** It assumes less, and can show less: of n blocks there are 2^n
assignments of signs, so no p-value is below 2/2^n, and with five blocks and fifteen targets nothing
could be shown, whatever the numbers.

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

from harness.stats.intervals import CONFIDENCE, Interval, LogRatio, t_below, t_reach
from harness.stats.moderation import UNKNOWN, Scatter

SMALLEST_EFFECT = 0.03
_ALIKE = 1e-12


class Finding(enum.StrEnum):
    """What can be said about a target compared with another."""

    HIGHER = "higher"
    LOWER = "lower"
    SAME = "same"
    UNSHOWN = "not shown"


def paired_p(ratios: Sequence[float], scatter: Scatter = UNKNOWN) -> float:
    """Return the two-sided p-value of "the true ratio is 1" for one ratio a block.

    `scatter` is what is known of their scatter beside. NaN where there is no block, 1 where there
    is one.
    """
    if len(ratios) < 2:
        return 1.0 if ratios else math.nan
    logs = np.log(np.asarray(ratios, dtype=np.float64))
    known = scatter.joined(float(logs.var(ddof=1)), len(logs) - 1)
    return _two_sided(float(logs.mean()), math.sqrt(known.variance / len(logs)), known.freedom)


def unpaired_p(ratio: LogRatio) -> float:
    """Return the two-sided p-value of "the two runs do not differ".

    NaN where one of them has no block, 1 where one has only one.
    """
    if math.isnan(ratio.error):
        return math.nan if math.isnan(ratio.mean) else 1.0
    return _two_sided(ratio.mean, ratio.error, ratio.freedom)


def _two_sided(mean: float, error: float, freedom: float) -> float:
    if error <= _ALIKE:  # every block alike, as memory can be
        return 1.0 if abs(mean) <= _ALIKE else 0.0
    return 2 * t_below(-abs(mean) / error, freedom)


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


def blocks_for_precision(
    ratios: Sequence[float], wanted: float, scatter: Scatter = UNKNOWN
) -> int | None:
    """Return how many blocks would give an interval of plus or minus `wanted`, a share.

    Estimated from the spread of the existing blocks, and from what is known of it beside; None with
    fewer than two.
    """
    if len(ratios) < 2:
        return None
    seen = float(np.log(np.asarray(ratios, dtype=np.float64)).var(ddof=1))
    spread = math.sqrt(scatter.joined(seen, len(ratios) - 1).variance)
    reach = math.log1p(wanted)
    blocks = 2
    if not math.isfinite(spread):
        return None
    while t_reach(CONFIDENCE, scatter.freedom + blocks - 1) * spread / math.sqrt(blocks) > reach:
        blocks += 1 if blocks < 100 else blocks // 10
    return blocks
