"""Where a series of runs changes its level. Pure: numbers in, changes out.

Strategy
========

**Circular binary segmentation** (Olshen, Venkatraman, Lucito and Wigler 2004). Of all stretches of
consecutive runs the one is taken whose mean differs most from that of all the others, by the t
statistic. If that is more than chance explains, its ends are changes, and what lies before, within
and after it is searched in the same way. A stretch may end with the series, which is a single
change; one that does not is a change and the way back, such as a regression and its repair, which a
search for one change at a time does not see, since both halves then have much the same mean.

**Chance** is bounded, not simulated: the p-value of Student's t is multiplied by the number of
stretches that were looked at (Bonferroni; for a single change Worsley 1979 does the same), and
`level` is the caller's share of 5% for each of its series. So the same runs give the same changes,
and of histories in which nothing changed at most one in twenty shows a change.

**Afterwards** each change is tested again between its two neighbouring stretches, against the
scatter within all stretches (the contrast of an analysis of variance), and the weakest is removed
until all are significant and large enough to matter. That is the second step of Hunter (Fleming et
al. 2023), which Apache Otava does too; ends that only chance put where they are go in it.

**Logarithms**, as for blocks (`intervals`): scatter is a share of a value. The replicates are runs,
each one number: what varies from hour to hour is what a change must exceed, however narrow the
interval of each run. A stretch has two runs at least, so that one odd run is no change.

Why not a library: ruptures 1.1 and skchange find the best places for a number of changes or a
penalty, which the caller must choose; how probable a change is by chance they do not say.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from harness.stats.intervals import CONFIDENCE, Interval, t_reach
from harness.stats.significance import SMALLEST_EFFECT

SHORTEST = 2
"""How many runs a stretch has at least; twice as many is the least in which a change is found."""
LEVEL = 1 - CONFIDENCE
_ALIKE = 1e-12
"""Scatter below this is none: values that are all the same, as memory can be."""

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Shift:
    """A change of level: `place` is the index of the first value after it.

    `ratio` is the level after it by the level before it, with its 95% interval; `p_value` is
    adjusted for the number of places.
    """

    place: int
    ratio: Interval
    p_value: float


def change_points(
    values: Sequence[float], level: float = LEVEL, smallest_effect: float = SMALLEST_EFFECT
) -> tuple[Shift, ...]:
    """Return the changes of level of positive numbers in their order.

    None where the values are fewer than four. `smallest_effect` is a share: smaller changes do not
    matter. Raises ValueError for a value that is not a positive number.
    """
    array = np.asarray(values, dtype=np.float64)
    if not (np.isfinite(array) & (array > 0)).all():
        raise ValueError("changes on logarithms need positive numbers")
    logs = np.log(array)
    return _pruned(logs, sorted(_cuts(logs, 0, level)), level, math.log1p(smallest_effect))


def _cuts(logs: Floats, offset: int, level: float) -> list[int]:
    """Return where the stretch that differs most begins and ends, and so on within all three."""
    if len(logs) < 2 * SHORTEST:
        return []
    starts, ends = _stretches(len(logs))
    squares = _t_squared(logs, starts, ends)
    best = int(np.argmax(squares))
    freedom = len(logs) - 2
    p_value = len(starts) * 2 * float(stats.t.sf(math.sqrt(squares[best]), freedom))
    if p_value > level:
        return []
    inner = [place for place in (int(starts[best]), int(ends[best])) if 0 < place < len(logs)]
    edges = [0, *inner, len(logs)]
    found = [offset + place for place in inner]
    for first, last in pairwise(edges):
        found += _cuts(logs[first:last], offset + first, level)
    return found


def _stretches(count: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the begin and end of each way to set a stretch apart from the rest of `count` values.

    What begins with the first value is left out: it is the rest of what ends with the last.
    """
    starts, ends = np.meshgrid(np.arange(1, count), np.arange(2, count + 1), indexing="ij")
    inner, after = ends - starts, count - ends
    fits = (starts >= SHORTEST) & (inner >= SHORTEST) & ((after == 0) | (after >= SHORTEST))
    return starts[fits], ends[fits]


def _t_squared(logs: Floats, starts: NDArray[np.int64], ends: NDArray[np.int64]) -> Floats:
    """Return the square of Student's t between each stretch and the rest; 0 where all are alike."""
    centred = logs - logs.mean()
    total = float(np.square(centred).sum())
    if total <= _ALIKE**2:
        return np.zeros(len(starts))
    sums = np.concatenate([[0.0], np.cumsum(centred)])
    inside, count = sums[ends] - sums[starts], ends - starts
    between = np.square(inside) * len(logs) / (count * (len(logs) - count))
    within = np.maximum(total - between, total * _ALIKE)
    result: Floats = between * (len(logs) - 2) / within
    return result


def _pruned(logs: Floats, cuts: list[int], level: float, least: float) -> tuple[Shift, ...]:
    """Return the changes that remain when the weakest was removed as often as there was a weak."""
    while cuts:
        shifts = _shifts(logs, cuts)
        weakest = max(shifts, key=lambda shift: shift.p_value)
        if weakest.p_value <= level:
            weakest = min(shifts, key=_size)
            if _size(weakest) >= least:
                return tuple(shifts)
        cuts = [cut for cut in cuts if cut != weakest.place]
    return ()


def _size(shift: Shift) -> float:
    return abs(math.log(shift.ratio.mid))


def _shifts(logs: Floats, cuts: Sequence[int]) -> list[Shift]:
    """Return the change at each cut, by the scatter within all stretches together."""
    parts = np.split(logs, cuts)
    freedom = len(logs) - len(parts)
    spread = math.sqrt(sum(float(np.square(part - part.mean()).sum()) for part in parts) / freedom)
    reach = t_reach(CONFIDENCE, freedom)
    shifts = []
    for place, before, after in zip(cuts, parts[:-1], parts[1:], strict=True):
        moved = float(after.mean() - before.mean())
        error = max(spread * math.sqrt(1 / len(before) + 1 / len(after)), _ALIKE)
        p_value = min(1.0, len(logs) * 2 * float(stats.t.sf(abs(moved) / error, freedom)))
        ends = (moved - reach * error, moved, moved + reach * error)
        shifts.append(Shift(place, Interval(*map(math.exp, ends)), p_value))
    return shifts
