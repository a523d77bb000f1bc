"""Rates of targets that were loaded in slices of time. Pure: arrays in, numbers out.

Strategy
========

**A slice's work.** In a closed load all users begin to send when the slice begins, send again when
they are answered, and stop when it ends. A request belongs to the slice in which it was sent.

- A *quick* target (five requests a slice for each user, or more) is counted from one completion to
  another while all users send: what is under way at the first stands for what is under way at the
  last.
- A *slow* one is counted from the first sending to the last completion: all that was begun in the
  slice is then done, so neither work nor time is cut in two.

**What is left out.** Just after a switch caches are cold and connections are new. How long that
lasts is not guessed: the completions of all slices of a condition's quick targets are overlaid, and
the beginning is left out until the rest of the first half is as fast as the second (98% of it). It
is the same for all of them, and for all blocks, of which the first decides: were each to have its
own, chance would decide, from block to block, which target is spared its cold caches. A slow target
has few requests, and longer slices, of which nothing is left out.

How the rates of targets are compared is told in `harness.stats.shared_speed`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

Numbers = NDArray[np.float64]

_QUICK = 5
_BINS = 20
_AS_FAST = 0.98
_MOST_LEFT_OUT = 0.5


@dataclass(frozen=True)
class Load:
    """Requests to one target in its slices, and these.

    `sent` and `completed` have an entry for each request, in seconds on one clock; so are `begins`
    and `lengths`, with one for each slice. So many `users` sent.
    """

    sent: Numbers
    completed: Numbers
    begins: Sequence[float]
    lengths: Sequence[float]
    users: int

    @cached_property
    def slice_of(self) -> NDArray[np.intp]:
        """The number of the slice in which each request was sent; -1 for those before all."""
        return np.searchsorted(np.asarray(self.begins), self.sent, side="right") - 1

    @property
    def is_quick(self) -> bool:
        """Whether slices have so many requests that they can be counted between completions."""
        least = _QUICK * self.users * len(self.begins)
        return 0 < least <= int(np.count_nonzero(self.slice_of >= 0))


@dataclass(frozen=True)
class Portions:
    """What counts of each slice that has anything: from when to when (s), and the completions.

    The arrays have one entry a slice, in the order of time. `left_out_s` is what was left out at
    the beginning of each slice. `counted` says of each request whether its latency counts: those
    sent after that, however long they took (whoever counts what was completed in time only misses
    the longest). Of everything that was sent in slices, `whole` marks the requests; `occupied_s` is
    the time from the first sending of each slice to its last completion, in all, and `sending_s`
    that in which users sent.
    """

    begin: Numbers
    end: Numbers
    requests: Numbers
    left_out_s: float
    counted: NDArray[np.bool_]
    whole: NDArray[np.bool_]
    occupied_s: float
    sending_s: float

    @property
    def seconds(self) -> float:
        """The time of all slices together."""
        return float((self.end - self.begin).sum())

    @property
    def per_second(self) -> float:
        """Completions a second; NaN where there is no slice."""
        return float(self.requests.sum()) / self.seconds if self.seconds > 0 else math.nan


def portions(load: Load, cold_s: float) -> Portions:
    """Return what counts of a load, whose slices have cold caches for so long if it is quick.

    Of a slice, half is left out at most: another block's may have been longer.
    Requests that were sent before the first slice count nowhere.
    """
    own, quick = load.slice_of, load.is_quick
    left_out_s = min(cold_s, _MOST_LEFT_OUT * min(load.lengths)) if quick else 0.0
    found: list[tuple[float, float, int]] = []
    counted, whole = (np.zeros(len(load.sent), dtype=bool) for _ in range(2))
    occupied_s = sending_s = 0.0
    for number, begin in enumerate(load.begins):
        mine = np.flatnonzero(own == number)
        if not len(mine):
            continue
        last = begin + load.lengths[number]
        first = float(load.sent[mine].min())
        done = load.completed[mine]
        if quick:
            from_s, to_s = _between_completions(done, first + left_out_s, last)
        else:
            from_s, to_s = first, float(done.max())
        inside = np.count_nonzero((done > from_s) & (done <= to_s))
        if not inside:
            continue
        found.append((from_s, to_s, int(inside)))
        counted[mine[load.sent[mine] >= first + left_out_s]] = True
        whole[mine] = True
        occupied_s += float(done.max()) - first
        sending_s += last - first
    columns = np.array(found, dtype=np.float64).reshape(-1, 3).T
    return Portions(
        columns[0], columns[1], columns[2], left_out_s, counted, whole, occupied_s, sending_s
    )


def _between_completions(done: Numbers, earliest: float, latest: float) -> tuple[float, float]:
    """Return the first and the last completion between two moments."""
    inside = done[(done >= earliest) & (done <= latest)]
    if len(inside) < 2:
        return earliest, earliest
    return float(inside.min()), float(inside.max())


def cold_s(loads: Sequence[Load]) -> float:
    """Return for how long the slices of these loads are unlike the rest, at most half a slice.

    0 where no load is quick.
    """
    quick = [load for load in loads if load.is_quick]
    if not quick:
        return 0.0
    shortest_s = min(length for load in quick for length in load.lengths)
    # Each target counts the same: the baseline, with most of the slices, is seldom the coldest.
    profile = np.mean([_profile(load, shortest_s) for load in quick], axis=0)
    return _cold_bins(profile) * shortest_s / _BINS


def _profile(load: Load, shortest_s: float) -> Numbers:
    """Return the shares of completions in the parts of a slice, from its first sending on."""
    own = load.slice_of
    firsts = np.full(len(load.begins), np.inf)
    inside = own >= 0
    np.minimum.at(firsts, own[inside], load.sent[inside])
    offsets = load.completed[inside] - firsts[own[inside]]
    counts, _ = np.histogram(offsets, bins=_BINS, range=(0.0, shortest_s))
    return np.asarray(counts / max(1, counts.sum()))


def _cold_bins(profile: Numbers) -> int:
    """Return how many of the first values to leave out, half of them at most.

    The last value does not count: a late first sending cuts it short.
    """
    half = len(profile) // 2
    late = profile[half:-1].mean()
    return next(
        (cut for cut in range(half) if profile[cut:half].mean() >= _AS_FAST * late),
        half,
    )
