"""When the requests of an open load are to be sent, and what became of them. Pure.

Strategy. In a closed loop a server that stalls is asked less, and the requests that nobody sent do
not show: *coordinated omission* (Tene, "How NOT to Measure Latency", 2013). Here the times of
sending are drawn beforehand, from a seed, and do not depend on any answer. A request that could not
be sent in time has waited all the same: its response time counts from the intended time. The
service time, from the actual sending, is kept beside it.

late
    Sent more than a millisecond after its intended time, since the generator was slow or as many
    requests were on their way as may be.
dropped
    To be sent within the measured window, and without an answer when the wait for it was over. Its
    response time is at least as long as that, and counts as such.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count, dropwhile, takewhile
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from workloads.access_log.trace import Playback

Pattern = Literal["poisson", "uniform"]

LATE_US = 1000.0
DRAIN_S = 5.0
"""How long after the window answers are waited for: what is dropped has waited at least so long."""
COMPLETED, SERVICE_US, INTENDED = range(3)
"""The columns of an open load's rows; those of a closed load's are the first two."""

_CHUNK = 1024
_STREAM = 0x5E4D
"""Keeps the draws apart from those of other things that come from the same seed."""

Times = NDArray[np.float64]


@dataclass(frozen=True)
class Stretch:
    """So many seconds in which the rate goes evenly from `first` to `last`, requests a second."""

    seconds: float
    first: float
    last: float

    @property
    def requests(self) -> float:
        """How many requests are due within it, on average."""
        return self.seconds * (self.first + self.last) / 2

    def due_s(self, requests: float) -> float:
        """Return the seconds from its beginning after which so many requests are due."""
        slope = (self.last - self.first) / self.seconds
        # The root of first t + slope t^2 / 2 = requests, in the form that a slope of 0 suits too.
        square = max(0.0, self.first**2 + 2 * slope * requests)
        return 2 * requests / (self.first + math.sqrt(square))


@dataclass(frozen=True)
class Arrivals:
    """`rate` requests a second, as by a Poisson process or evenly.

    Where there are `stretches`, these come first, one after the other.
    """

    rate: float
    pattern: Pattern = "poisson"
    stretches: tuple[Stretch, ...] = ()


def offsets(arrivals: Arrivals | Playback, seed: int) -> Iterator[float]:
    """Yield the times of sending without an end, ascending, in seconds after the load begins.

    Those of a log that is played need no seed.
    """
    if isinstance(arrivals, Playback):
        yield from arrivals.offsets()
        return
    if arrivals.stretches:
        yield from _rescaled(arrivals, offsets(Arrivals(1.0, arrivals.pattern), seed))
    generator = np.random.default_rng((_STREAM, seed))
    if arrivals.pattern == "uniform":
        # Not always at the same moment after the start, to which a server's own clocks may be tied.
        first = generator.random()
        yield from ((first + number) / arrivals.rate for number in count())
    last = 0.0
    while True:
        times = last + np.cumsum(generator.exponential(1 / arrivals.rate, _CHUNK))
        last = float(times[-1])
        yield from times.tolist()


def _rescaled(arrivals: Arrivals, amounts: Iterator[float]) -> Iterator[float]:
    """Yield when so many requests are due, for each of these ascending amounts.

    Of a Poisson process with rate 1 that gives one with the rate of the arrivals (Cinlar,
    *Introduction to Stochastic Processes*, 1975, 4.7).
    """
    begins_s = before = 0.0
    stretches = iter(arrivals.stretches)
    stretch = next(stretches, None)
    for amount in amounts:
        while stretch is not None and amount - before >= stretch.requests:
            begins_s, before = begins_s + stretch.seconds, before + stretch.requests
            stretch = next(stretches, None)
        left = amount - before
        yield begins_s + (stretch.due_s(left) if stretch else left / arrivals.rate)


class Schedule:
    """The intended times of one trial on CLOCK_MONOTONIC, in seconds, taken one after the other."""

    def __init__(self, arrivals: Arrivals | Playback, seed: int, begins_at: float) -> None:
        self._arrivals = arrivals
        self._seed = seed
        self._begins_at = begins_at
        self._times = self._drawn()

    def _drawn(self) -> Iterator[float]:
        begins_at = self._begins_at
        return (begins_at + offset for offset in offsets(self._arrivals, self._seed))

    def take(self) -> float:
        """Return the next intended time, whoever asks."""
        return next(self._times)

    def within(self, start: float, end: float) -> Times:
        """Return the intended times from `start` to before `end`, taken or not."""
        begun = dropwhile(lambda time: time < start, self._drawn())
        return np.fromiter(takewhile(lambda time: time < end, begun), dtype=np.float64)


@dataclass(frozen=True)
class Account:
    """What became of the requests that were to be sent within a window.

    `response_us` has an entry for each of them, those dropped included; `service_us` one for each
    that was answered. `late_worst_ms` is 0 where none was. `completed` counts what was answered
    within the window, whenever it was to be sent.
    """

    response_us: Times
    service_us: Times
    late: int
    late_worst_ms: float
    dropped: int
    completed: int


def account(rows: Times, start: float, end: float) -> Account:
    """Take stock of an open load's rows, an array of shape (n, 3).

    A row is a request: when it was complete or given up, its service time in microseconds (NaN if
    there was no answer), and when it was to be sent; times are in seconds on CLOCK_MONOTONIC.
    """
    in_time = rows[~np.isnan(rows[:, SERVICE_US]), COMPLETED]
    inside = rows[(rows[:, INTENDED] >= start) & (rows[:, INTENDED] < end)]
    response_us = (inside[:, COMPLETED] - inside[:, INTENDED]) * 1e6
    answered = ~np.isnan(inside[:, SERVICE_US])
    service_us = inside[answered, SERVICE_US]
    # What is not service was spent before the request was sent.
    lateness_us = response_us[answered] - service_us
    return Account(
        response_us=response_us,
        service_us=service_us,
        late=int(np.count_nonzero(lateness_us > LATE_US)),
        late_worst_ms=max(0.0, float(lateness_us.max(initial=0.0))) / 1000,
        dropped=int(np.count_nonzero(~answered)),
        completed=int(np.count_nonzero((in_time >= start) & (in_time < end))),
    )
