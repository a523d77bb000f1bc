"""Rates and ratios of targets that were loaded in slices of time. Pure: arrays in, numbers out.

Strategy
========

**A slice's work.** In a closed load all users begin to send when the slice begins, send again when
they are answered, and stop when it ends. A request belongs to the slice in which it was sent.

- A *quick* target (ten requests a slice for each user, or more) is counted from one completion to
  another while all users send: what is under way at the first stands for what is under way at the
  last.
- A *slow* one is counted from the first sending to the last completion: all that was begun in the
  slice is then done, so neither work nor time is cut in two.

**What is left out.** Just after a switch caches are cold and connections are new. How long that
lasts is not guessed: the completions of all of a target's slices are laid over each other, and the
beginning is left out that makes the rest look steadiest (the marginal standard error rule, MSER;
White 1997), half a slice at most. That takes some thousand completions; a slow target has fewer,
and longer slices, of which nothing is left out.

**The ratio to the baseline** is a ratio of sums (Cochran 1977, chapter 6): the requests that a
target answered in its slices, divided by those that the baseline would have answered in the same
time, at its rate in the two slices that flank each (Kalibera and Jones 2013 call for pairs; here a
pair is some hundredths of a second apart). Where the host changes its speed both sides of the ratio
change.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Numbers = NDArray[np.float64]

_QUICK = 10
_BINS = 20
_ENOUGH = 2_000
_MOST_LEFT_OUT = 0.5


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


def portions(
    sent: Numbers, completed: Numbers, begins: Sequence[float], lengths: Sequence[float], users: int
) -> Portions:
    """Return what counts of slices that begin then (s) and last so long.

    `sent` and `completed` have an entry for each request, on the same clock. Requests that were
    sent before the first slice count nowhere.
    """
    own = np.searchsorted(np.asarray(begins), sent, side="right") - 1
    quick = len(begins) > 0 and np.count_nonzero(own >= 0) >= _QUICK * users * len(begins)
    left_out_s = _left_out_s(sent, completed, own, lengths) if quick else 0.0
    found: list[tuple[float, float, int]] = []
    counted, whole = (np.zeros(len(sent), dtype=bool) for _ in range(2))
    occupied_s = sending_s = 0.0
    for number in range(len(begins)):
        mine = np.flatnonzero(own == number)
        if not len(mine):
            continue
        last = begins[number] + lengths[number]
        first = float(sent[mine].min())
        done = completed[mine]
        if quick:
            from_s, to_s = _between_completions(done, first + left_out_s, last)
        else:
            from_s, to_s = first, float(done.max())
        inside = np.count_nonzero((done > from_s) & (done <= to_s))
        if not inside:
            continue
        found.append((from_s, to_s, int(inside)))
        counted[mine[sent[mine] >= first + left_out_s]] = True
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


def _left_out_s(
    sent: Numbers, completed: Numbers, own: NDArray[np.intp], lengths: Sequence[float]
) -> float:
    """Return how much of the beginning of each slice is unlike the rest, by MSER."""
    shortest = min(lengths)
    firsts = np.full(len(lengths), np.inf)
    inside = own >= 0
    np.minimum.at(firsts, own[inside], sent[inside])
    offsets = completed[inside] - firsts[own[inside]]
    offsets = offsets[offsets < shortest]
    if len(offsets) < _ENOUGH:
        return 0.0
    counts, _ = np.histogram(offsets, bins=_BINS, range=(0.0, shortest))
    # The last bin may be cut short by a late first sending.
    profile = counts[:-1].astype(np.float64)
    # Counts that scatter no more than those of a Poisson process have nothing to leave out.
    return mser(profile) * shortest / _BINS if profile.var() > profile.mean() else 0.0


def mser(values: Numbers) -> int:
    """Return how many of the first values to leave out, half of them at most (White 1997).

    The number that makes the standard error of the rest's mean least, if that halves it; else
    nothing, since noise alone has a least error somewhere.
    """
    most = int(len(values) * _MOST_LEFT_OUT)
    errors = [float(values[cut:].var()) / (len(values) - cut) for cut in range(most + 1)]
    best = int(np.argmin(errors))
    return best if errors[best] < errors[0] / 4 else 0


def local_ratio(own: Portions, baseline: Portions) -> float:
    """Return a target's rate as a multiple of the baseline's at the same time.

    NaN where one of them has no slice.
    """
    if not len(own.begin) or not len(baseline.begin):
        return math.nan
    middle = (own.begin + own.end) / 2
    after = np.searchsorted(baseline.begin, middle)
    before = np.clip(after - 1, 0, None)
    after = np.clip(after, None, len(baseline.begin) - 1)
    spans = baseline.end - baseline.begin
    rates = (baseline.requests[before] + baseline.requests[after]) / (spans[before] + spans[after])
    return float(own.requests.sum() / ((own.end - own.begin) * rates).sum())
