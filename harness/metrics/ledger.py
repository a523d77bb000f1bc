"""Which tenants have series of their own, and what goes to the series of the others. Pure.

Strategy: a series for each of thousands of tenants would overwhelm whoever stores them, so there
are so many *seats*, and a tenant without one counts under "(other)". What is counted between two
looks goes to the tenant's own series or to that of the others, never from one to the other. So no
series ever falls, which `rate()` would take for a restart, and all together are what was served.

A tenant takes a vacant seat with its first request, the busiest first. Where none is vacant, it
takes that of the tenant with the fewest requests once it has more than twice as many. So the
number of series that ever exist is bounded by the seats and the logarithm of the requests, as in
Metwally and others, Efficient Computation of Frequent and Top-k Elements (ICDT 2005), which counts
the heaviest of many in so many counters.

Rule: what a server has counted may have been falsified by a script. A count that falls, or rises
by more than a server can serve, counts as nothing.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from harness.metrics.tally import Counts

_MOST_AT_ONCE: Final = 1 << 45  # of a sum in nanoseconds: ten hours of requests
_TAKES_OVER: Final = 2


class Ledger:
    """What each series has counted. `classes` is how many columns count requests."""

    def __init__(self, sites: int, seats: int, classes: int, columns: int) -> None:
        self._classes = classes
        self._before: Counts = np.zeros((sites + 1, columns), dtype=np.int64)
        self._own: Counts = np.zeros((sites, columns), dtype=np.int64)
        self._others: Counts = np.zeros(columns, dtype=np.int64)
        self._none: Counts = np.zeros(columns, dtype=np.int64)
        self._seats = seats
        self._seated: set[int] = set(range(sites)) if sites <= seats else set()

    @property
    def seated(self) -> list[int]:
        """The places of the tenants that have a seat."""
        return sorted(self._seated)

    @property
    def has_others(self) -> bool:
        """Whether there are more tenants than seats."""
        return len(self._own) > self._seats

    def look(self, counts: Counts) -> None:
        """Add what was counted since the last look; `counts` is what `TallyReader` returns."""
        grown = counts - self._before
        grown[(grown < 0) | (grown > _MOST_AT_ONCE)] = 0
        self._before = counts
        self._none += grown[-1]
        if self.has_others:
            self._seat(counts[:-1, : self._classes].sum(axis=1))
        seated = self.seated
        self._own[seated] += grown[seated]
        without = np.ones(len(self._own), dtype=bool)
        without[seated] = False
        self._others += grown[:-1][without].sum(axis=0)

    def of(self, place: int) -> Counts:
        """Return the series of a tenant."""
        found: Counts = self._own[place]
        return found

    @property
    def others(self) -> Counts:
        """The series of all tenants without a seat."""
        return self._others

    @property
    def none(self) -> Counts:
        """The series of requests that name no tenant."""
        return self._none

    def _seat(self, requests: Counts) -> None:
        for place in np.argsort(requests)[::-1].tolist():
            if place in self._seated:
                continue
            if requests[place] == 0 or not self._finds_seat(place, requests):
                return  # nor does any other, which is less busy

    def _finds_seat(self, place: int, requests: Counts) -> bool:
        if len(self._seated) >= self._seats:
            least = min(self._seated, key=lambda other: requests[other], default=None)
            if least is None or requests[place] <= _TAKES_OVER * requests[least]:
                return False
            self._seated.remove(least)
        self._seated.add(place)
        return True
