"""Locust load shapes: how many users there are as a test goes on, or how many requests a second.

Written as text, so that the environment variable ISOBENCH_SHAPE can choose one for the locustfile:

    steps:1,2,4,8@10         1 user for 10 seconds, then 2, then 4, then 8
    ramp:1-64@60             from 1 to 64 users, evenly, within 60 seconds
    steps:100,200,400/s@10   an open load: 100 requests a second for 10 seconds, then 200, then 400
    ramp:10-500/s@60         from 10 to 500 requests a second, evenly, within 60 seconds

Requests of an open load are sent at times drawn by a Poisson process, whoever was answered.

Locust asks a shape once a second. Importing this module imports Locust.
"""

import re
from typing import Any, ClassVar

from locust import LoadTestShape

from workloads.errors import WorkloadError
from workloads.load.schedule import Arrivals, Stretch

OUTSTANDING = 4
"""How many requests of an open load may be on their way, where Locust is told no `--users`."""

_SHAPE = re.compile(
    r"(?:steps:(?P<steps>[1-9]\d*(?:,[1-9]\d*)*)|ramp:(?P<first>[1-9]\d*)-(?P<last>[1-9]\d*))"
    r"(?P<rates>/s)?@(?P<seconds>\d+(?:\.\d+)?)"
)


class Shape(LoadTestShape):
    """A number of users that depends on the time alone."""

    abstract = True

    def users_at(self, elapsed_s: float) -> int | None:
        """Return how many users there should be so long after the start; None when it is over."""
        raise NotImplementedError

    def tick(self) -> tuple[int, float] | None:
        """Tell Locust how many users there should be now, and how many to start a second: all."""
        run_time: Any = self.get_run_time  # whose package is untyped
        users = self.users_at(run_time())
        return None if users is None else (users, float(users))


class Steps(Shape):
    """One number of users after the other, each for the same time in seconds."""

    abstract = True
    numbers: ClassVar[tuple[int, ...]]
    each_s: ClassVar[float]

    def users_at(self, elapsed_s: float) -> int | None:  # noqa: D102
        step = int(elapsed_s / self.each_s)
        return self.numbers[step] if step < len(self.numbers) else None


class Ramp(Shape):
    """A number of users that changes evenly from the first to the last."""

    abstract = True
    first: ClassVar[int]
    last: ClassVar[int]
    within_s: ClassVar[float]

    def users_at(self, elapsed_s: float) -> int | None:  # noqa: D102
        share = elapsed_s / self.within_s
        return round(self.first + share * (self.last - self.first)) if share < 1 else None


class Rates(Shape):
    """An open load whose rate changes with the time.

    The number of users, Locust's `--users`, bounds how many requests may be on their way at once.
    """

    abstract = True
    use_common_options = True
    arrivals: ClassVar[Arrivals]

    def users_at(self, elapsed_s: float) -> int | None:  # noqa: D102
        if elapsed_s >= sum(stretch.seconds for stretch in self.arrivals.stretches):
            return None
        options: Any = self.runner and self.runner.environment.parsed_options
        return (options and options.num_users) or OUTSTANDING


def parse(text: str) -> type[Shape]:
    """Return the class of a shape, which Locust can make. Raises `WorkloadError`."""
    match = _SHAPE.fullmatch(text)
    seconds = float(match["seconds"]) if match else 0.0
    if match is None or seconds == 0:
        raise WorkloadError(
            f"{text!r} is not a load shape",
            hint="write steps:1,2,4,8@10 (users, each for 10 s) or ramp:1-64@60 (within 60 s); "
            "with /s for requests a second: steps:100,200/s@10, ramp:10-500/s@60",
        )
    if match["steps"]:
        return _steps(
            tuple(map(int, match["steps"].split(","))), seconds, rates=bool(match["rates"])
        )
    return _ramp(int(match["first"]), int(match["last"]), seconds, rates=bool(match["rates"]))


def _steps(numbers: tuple[int, ...], each_s: float, *, rates: bool) -> type[Shape]:
    if rates:
        return _rates(*(Stretch(each_s, rate, rate) for rate in numbers))
    return type("Steps", (Steps,), {"abstract": False, "numbers": numbers, "each_s": each_s})


def _ramp(first: int, last: int, within_s: float, *, rates: bool) -> type[Shape]:
    if rates:
        return _rates(Stretch(within_s, first, last))
    ends = {"first": first, "last": last}
    return type("Ramp", (Ramp,), {"abstract": False, "within_s": within_s, **ends})


def _rates(*stretches: Stretch) -> type[Shape]:
    arrivals = Arrivals(stretches[-1].last, stretches=stretches)
    return type("Rates", (Rates,), {"abstract": False, "arrivals": arrivals})
