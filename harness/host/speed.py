"""How steady a processor's speed is, and what that means for the length of a run.

Strategy
========

**The samples.** One fixed calculation after the other, for some seconds, on the server's processor.
Each is timed in CPU time of its thread, so that what others take from it is not in it: that is told
apart, as the share of the time in which the calculation did not run. What remains is the clock, a
neighbour in the same core or cache, and what a hypervisor does not own up to.

**Two levels.** Virtual machines on shared hosts jump between two speeds. The two levels are the
medians of two groups (k-medians of the logarithms); which of them the processor is at when, is the
course with the least sum of absolute distances from the levels, where a change costs as much as
`_PENALTY` samples at the wrong one (Viterbi 1967). So a single slow sample is no change. Where the
groups are no further apart than `LEAST_RATIO`, or than twice their scatter, there is one speed.

**How long a run takes.** The model is a random telegraph signal: dwell times are exponential, at
the fast and at the slow speed with their own means. The logarithm of the speed then has the
variance v = p (1 - p) ln(ratio)^2, where p is the share of slow time, and its autocorrelation falls
as exp(-t / tau), with 1 / tau = 1 / dwell_fast + 1 / dwell_slow (Machlup 1954). Of a target and the
baseline that are loaded in turn, for s seconds each, the log ratio of one pair of slices has the
variance D of the difference of two adjacent means; with x = s / tau

    D(s) = 2 v (2 (x - 1 + exp(-x)) - (1 - exp(-x))^2) / x^2

plus what the samples scatter around their level. From n pairs the mean is known to within
1.96 sqrt(D / n), so n is what makes that ln(1 + width). Trials that follow each other in random
order share nothing: their D is 2 v (2 (x - 1 + exp(-x))) / x^2.

It is an estimate of load alone, from one look at an idle host: starts of servers, ramps, and what
differs from one start of a server to the next come on top, and another hour may be another host.
"""

from __future__ import annotations

import hashlib
import math
import time
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from harness.host.cores import running_on

LEAST_RATIO = 1.1
"""Two speeds that are closer than this are one: clocks vary by some percent."""

_PENALTY = 3.0
_ROUNDS = 3_000
_BLOCK = b"\0" * 64
_Z = 1.96
_TURNS_OF_GROUPING = 20

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Samples:
    """Calculations: when each ended, in seconds from the beginning, and its CPU time in seconds.

    `away` is the share of the time in which the calculating thread had no processor.
    """

    ended_s: Floats
    took_s: Floats
    away: float


@dataclass(frozen=True)
class Speeds:
    """What a processor's speed did for so many seconds.

    `ratio` is how many times as long the same work takes at the slower speed, 1 where there is one
    speed; `slow_share` is of the time. Dwell times are means, in seconds, of all that were seen
    between two changes; NaN where there were none. `scatter` is the standard deviation of a
    calculation's logarithm around its level, and `sample_s` how long one takes.
    """

    seconds: float
    ratio: float
    slow_share: float
    changes: int
    dwell_fast_s: float
    dwell_slow_s: float
    scatter: float
    sample_s: float
    away: float

    @property
    def noisy(self) -> bool:
        """Whether the processor was seen to change its speed."""
        return self.changes > 0


def watch(cpus: Sequence[int], seconds: float) -> Samples:
    """Calculate on these processors for so many seconds."""
    ended, took = [], []
    with running_on(cpus):
        start, start_cpu = time.monotonic(), time.thread_time()
        now, before = start, start_cpu
        while now < start + seconds:
            for _ in range(_ROUNDS):
                hashlib.blake2b(_BLOCK)
            now, after = time.monotonic(), time.thread_time()
            ended.append(now - start)
            took.append(after - before)
            before = after
    away = 1 - (before - start_cpu) / (now - start)
    return Samples(np.array(ended), np.array(took), max(0.0, away))


def speeds(samples: Samples) -> Speeds:
    """Find out how many speeds there are and when they change. Pure."""
    logs = np.log(samples.took_s)
    fast, slow = _levels(logs)
    course = _course(logs, fast, slow)
    if not _apart(logs, course, fast, slow):
        slow = fast = float(np.median(logs))
        course = np.zeros(len(logs), dtype=bool)
    ends = samples.ended_s
    lengths = np.diff(ends, prepend=0.0)
    at = np.flatnonzero(course[1:] != course[:-1]) + 1
    dwell_fast, dwell_slow = (_dwell_s(course, at, lengths, which) for which in (False, True))
    return Speeds(
        seconds=float(ends[-1]),
        ratio=math.exp(slow - fast),
        slow_share=float(lengths[course].sum() / ends[-1]),
        changes=len(at),
        dwell_fast_s=dwell_fast,
        dwell_slow_s=dwell_slow,
        scatter=_scatter(logs - np.where(course, slow, fast)),
        sample_s=float(np.median(samples.took_s)),
        away=samples.away,
    )


def _levels(logs: Floats) -> tuple[float, float]:
    """Return the medians of the two groups that the samples fall into, the lower first."""
    low, high = (float(value) for value in np.quantile(logs, [0.02, 0.98]))
    for _ in range(_TURNS_OF_GROUPING):
        upper = logs > (low + high) / 2
        if not upper.any() or upper.all():
            break
        low, high = float(np.median(logs[~upper])), float(np.median(logs[upper]))
    return low, high


def _course(logs: Floats, fast: float, slow: float) -> NDArray[np.bool_]:
    """Return for each sample whether it is at the slow level: the cheapest course of all."""
    costs = np.abs(logs[:, None] - np.array([fast, slow]))
    penalty = _PENALTY * (slow - fast)
    came_from = np.zeros(costs.shape, dtype=np.int64)
    total = costs[0]
    for place in range(1, len(costs)):
        change = total[::-1] + penalty
        came_from[place] = np.where(change < total, [1, 0], [0, 1])
        total = np.minimum(total, change) + costs[place]
    course = np.zeros(len(costs), dtype=bool)
    state = int(np.argmin(total))
    for place in range(len(costs) - 1, -1, -1):
        course[place] = state
        state = int(came_from[place, state])
    return course


def _apart(logs: Floats, course: NDArray[np.bool_], fast: float, slow: float) -> bool:
    """Tell whether the two levels are two speeds, and both were met."""
    if course.all() or not course.any():
        return False
    scatter = _scatter(logs - np.where(course, slow, fast))
    return slow - fast > max(math.log(LEAST_RATIO), 2 * scatter)


def _scatter(rest: Floats) -> float:
    """Return a standard deviation that some outliers do not change (median absolute deviation)."""
    return float(1.4826 * np.median(np.abs(rest - np.median(rest))))


def _dwell_s(course: NDArray[np.bool_], at: NDArray[np.intp], lengths: Floats, slow: bool) -> float:
    """Return how long the processor stays at a level: the time at it by the times it was left."""
    left = int((course[at - 1] == slow).sum())
    return float(lengths[course == slow].sum()) / left if left else math.nan


@dataclass(frozen=True)
class Effort:
    """What it takes to know a ratio: pairs of slices, and their seconds of load."""

    pairs: int
    seconds: float


def effort(found: Speeds, width: float, slice_s: float, *, in_turn: bool = True) -> Effort:
    """Return what knowing one ratio to within a share takes, by the model. Pure.

    Not `in_turn`: both are loaded for so long at a time, but at times that have nothing in common.
    """
    variance = _telegraph_variance(found, slice_s, in_turn=in_turn)
    variance += 2 * found.scatter**2 * min(1.0, found.sample_s / slice_s)
    pairs = max(2, math.ceil(variance * (_Z / math.log1p(width)) ** 2))
    return Effort(pairs, pairs * 2 * slice_s)


def _telegraph_variance(found: Speeds, slice_s: float, *, in_turn: bool) -> float:
    """Return the variance of a pair's log ratio that comes from the changes of speed."""
    if not found.noisy:
        return 0.0
    of_logs = found.slow_share * (1 - found.slow_share) * math.log(found.ratio) ** 2
    # A level that was never left lasts longer than was watched; what is known is a lower bound.
    dwells = (found.dwell_fast_s, found.dwell_slow_s)
    rate = sum(1 / (found.seconds if math.isnan(dwell) else dwell) for dwell in dwells)
    x = slice_s * rate
    of_a_mean = 2 * (x + math.expm1(-x)) / x**2
    of_neighbours = (math.expm1(-x) / x) ** 2 if in_turn else 0.0
    return 2 * of_logs * (of_a_mean - of_neighbours)
