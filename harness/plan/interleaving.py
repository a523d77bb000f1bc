"""Which target is loaded when, where the targets of a condition are interleaved. Pure.

Strategy
========

A shared host is slower for some tenths of a second or some seconds, then faster again (1.8 times,
on the virtual machines that this was written on). Two servers that are measured one after the other
meet different hosts, however long each is measured. Interleaved, a few hundredths of a second
each, they share it.

**Slices** are as short as the target allows: a *pilot* (the target alone, for a moment), and then
the block before, tell how quickly it answers. A slice has time for twelve requests, or one and a
half of each user, but is never shorter than 150 ms: after a switch it takes some 10 to 60 ms until
all of a server's processes have warm caches, and what is left out for that should be the smaller
part. After a slice nobody sends for as long as requests on their way may need.

**Order.** The time that a target gets is divided among its slices, which are spread over the whole
stretch: each falls at random within its own part of it (stratified sampling; Cochran 1977, chapter
5), so a slow target with few slices and a quick one with many meet the same host.

**The baseline** stands in every ratio, so with k others it gets the square root of k times the time
of one of them (Dunnett 1955, Journal of the American Statistical Association 50). Its slices flank
each group of slices that takes 0.7 s or longer, so that each target has the baseline's rate from
the same second. How ratios are formed is told in `harness.stats.shared_speed`.
"""

from __future__ import annotations

import math
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

SHORTEST_S = 0.15
LONGEST_S = 2.0
FLANKED_S = 0.7
"""How long slices of other targets may take between two of the baseline."""
_REQUESTS = 12
_REQUESTS_OF_A_USER = 1.5
_LEAST_SLICES = 3
_LEAST_GAP_S = 0.002
_LONGEST_GAP_S = 1.0
_ALIKE_S = 1e-9


@dataclass(frozen=True)
class Pace:
    """The length of a target's slices, and of the gap behind each, in seconds."""

    slice_s: float
    gap_s: float


def pace(per_second: float, users: int, shortest_s: float = SHORTEST_S) -> Pace:
    """Return the pace of a target that answered so many requests a second to so many users.

    0 requests a second, of a target that did not answer in its pilot, give the slowest pace.
    """
    if per_second <= 0:
        return Pace(LONGEST_S, _LONGEST_GAP_S)
    requests = max(_REQUESTS, _REQUESTS_OF_A_USER * users)
    return Pace(
        slice_s=min(max(shortest_s, requests / per_second), LONGEST_S),
        gap_s=min(max(_LEAST_GAP_S, 1.25 * users / per_second), _LONGEST_GAP_S),
    )


@dataclass(frozen=True)
class Slice:
    """A stretch in which one load, of number `place`, may send; seconds, from the epoch."""

    place: int
    begin_s: float
    length_s: float


@dataclass(frozen=True)
class Interleaving:
    """All slices in their order. What is measured lies between the two moments, from the epoch."""

    slices: tuple[Slice, ...]
    measured_from_s: float
    measured_to_s: float

    def of(self, place: int) -> tuple[Slice, ...]:
        """Return the slices of one load, warm-up included."""
        return tuple(one for one in self.slices if one.place == place)

    def stretches(self, place: int) -> tuple[tuple[float, float], ...]:
        """Return when each measured slice of a load begins, and when the next slice of any does.

        Until then what was sent in it is answered, and nobody else sends.
        """
        ends = [*(one.begin_s for one in self.slices[1:]), self.measured_to_s]
        return tuple(
            (one.begin_s, end)
            for one, end in zip(self.slices, ends, strict=True)
            if one.place == place and one.begin_s >= self.measured_from_s
        )

    def fields(self, place: int) -> dict[str, Any]:
        """Return the timetable of one load, as `workloads.load.timetable` takes it."""
        own = self.of(place)
        return {
            "begins": [one.begin_s for one in own],
            "lengths": [one.length_s for one in own],
            "measured_from": self.measured_from_s,
            "measured_to": self.measured_to_s,
        }


def interleave(
    paces: Sequence[Pace], baseline: int | None, seconds: float, warmup_s: float, seed: str
) -> Interleaving:
    """Return the slices of loads with these paces, of which `baseline` flanks the others.

    Each gets `seconds` in all, the baseline more where that takes more, and `warmup_s` before. None
    has fewer than three slices, however long these are.
    """
    random_order = random.Random(seed)
    warm = _in_order(paces, warmup_s, 1, random_order)
    order = _in_order(paces, seconds, _LEAST_SLICES, random_order, without=baseline)
    if baseline is not None:
        share = math.sqrt(max(1, len(paces) - 1))
        flanks = max(_LEAST_SLICES, math.ceil(share * seconds / paces[baseline].slice_s - _ALIKE_S))
        order = list(_flanked(order, paces, baseline, flanks)) if order else [baseline] * flanks
    warming_s = warmup_s or SHORTEST_S
    warming = [(place, min(paces[place].slice_s, warming_s)) for place in warm]
    measured = [(place, paces[place].slice_s) for place in order]
    slices = tuple(_laid_out([*warming, *measured], paces))
    first = slices[len(warming)]
    last = slices[-1]
    return Interleaving(
        slices, first.begin_s, last.begin_s + last.length_s + paces[last.place].gap_s
    )


def _in_order(
    paces: Sequence[Pace],
    seconds: float,
    least: int,
    randomly: random.Random,
    without: int | None = None,
) -> list[int]:
    """Return the places in the order of their slices, each spread over the whole."""
    moments: list[tuple[float, int]] = []
    for place, own in enumerate(paces):
        if place == without:
            continue
        count = max(least, math.ceil(seconds / own.slice_s - _ALIKE_S))
        moments += [((number + randomly.random()) / count, place) for number in range(count)]
    return [place for _, place in sorted(moments)]


def _flanked(
    order: Sequence[int], paces: Sequence[Pace], baseline: int, least: int
) -> Iterator[int]:
    """Yield the places, with those of the baseline between groups of them.

    There are at least so many of these, as far as there are others to flank.
    """
    all_s = sum(paces[place].slice_s + paces[place].gap_s for place in order)
    most_s = min(FLANKED_S, all_s / (least - 1))
    yield baseline
    taken_s = 0.0
    for place in order:
        own_s = paces[place].slice_s + paces[place].gap_s
        if taken_s and taken_s + own_s > most_s + _ALIKE_S:
            yield baseline
            taken_s = 0.0
        yield place
        taken_s += own_s
    yield baseline


def _laid_out(placed: Sequence[tuple[int, float]], paces: Sequence[Pace]) -> Iterator[Slice]:
    at = 0.0
    for place, length_s in placed:
        yield Slice(place, at, length_s)
        at += length_s + paces[place].gap_s
