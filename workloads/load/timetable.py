"""Who may send when, where several servers are loaded in turn. Pure.

Strategy. A shared host is slower for some hundred milliseconds, then faster again. Two servers that
are measured one after the other meet different weather, however long each is measured; loaded in
turn, a few hundredths of a second each, they share it. All servers live at once, one is loaded, the
others wait for requests and use nothing. Each load has a generator process of its own. They need
not talk: the timetable says who may send, and all read the same clock (CLOCK_MONOTONIC).

A **round** has a **slice** for each load, in an order of its own, drawn from the seed, so that
nobody always follows the same neighbour. At the end of each slice is a **gap** in which nobody
sends: requests on their way come to their end, and clocks need not wake anybody to the point.

**Own time** is what is left of the clock if all but the own slices are cut out. Rates and the
development of a load are those in own time.
"""

import math
import random
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

GAP = 0.1
"""The gap as a share of a slice."""
_RESOLUTION_S = 1e-6  # well above that of a float of seconds since boot


@dataclass(frozen=True)
class Timetable:
    """The slices of one load among `loads`, of which it is number `place`, from 0.

    The first `warmup` of all `rounds` are there to warm up. `epoch` is when the first one begins,
    on CLOCK_MONOTONIC; it and `slice_s` are in seconds.
    """

    epoch: float
    slice_s: float
    loads: int
    place: int
    warmup: int
    rounds: int
    seed: int

    @classmethod
    def read(cls, fields: Mapping[str, Any], epoch: float) -> "Timetable":
        """Make a timetable of a JSON object with all fields but `epoch`."""
        return cls(epoch=epoch, **fields)

    @property
    def round_s(self) -> float:
        """The length of a round, with its gaps, in seconds."""
        return self.loads * self.slice_s * (1 + GAP)

    @property
    def window(self) -> tuple[float, float]:
        """Begin and end of what is measured: the rounds after the warm-up."""
        return self.epoch + self.warmup * self.round_s, self.epoch + self.rounds * self.round_s

    @property
    def own_window(self) -> tuple[float, float]:
        """The same in own time."""
        begin = self.epoch + self.warmup * self.slice_s
        return begin, begin + (self.rounds - self.warmup) * self.slice_s

    def begin(self, number: int) -> float:
        """Return when the own slice of a round begins; rounds are counted from 0."""
        order = _order(self.seed, self.loads, number)
        own = order.index(self.place) * self.slice_s * (1 + GAP)
        return self.epoch + number * self.round_s + own

    def wait_s(self, now: float) -> float:
        """Return the seconds from `now` until requests may be sent: 0 within an own slice.

        Infinite after the last one.
        """
        number = max(0, int((now - self.epoch) // self.round_s))
        while number < self.rounds:
            begin = self.begin(number)
            if now < begin + self.slice_s:
                return max(0.0, begin - now)
            number += 1
        return math.inf

    def own_time(self, at: float) -> float:
        """Return a moment in own time: what is completed in a gap belongs to the slice before it.

        It never reaches the next slice.
        """
        number = min(self.rounds - 1, max(0, int((at - self.epoch) // self.round_s)))
        if at < self.begin(number) and number:
            number -= 1
        within = min(max(0.0, at - self.begin(number)), self.slice_s - _RESOLUTION_S)
        return self.epoch + number * self.slice_s + within


@lru_cache(maxsize=1024)
def _order(seed: int, loads: int, number: int) -> tuple[int, ...]:
    """Return the places in the order of their slices in a round."""
    return tuple(random.Random(f"{seed}/{number}").sample(range(loads), loads))
