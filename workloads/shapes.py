"""Locust load shapes: how many users there are as a test goes on.

Written as text, so that the environment variable ISOBENCH_SHAPE can choose one for the locustfile:

    steps:1,2,4,8@10     1 user for 10 seconds, then 2, then 4, then 8
    ramp:1-64@60         from 1 to 64 users, evenly, within 60 seconds

Locust asks a shape once a second. Importing this module imports Locust.
"""

import re
from typing import Any, ClassVar

from locust import LoadTestShape

from workloads.errors import WorkloadError

_SHAPE = re.compile(
    r"steps:(?P<steps>[1-9]\d*(?:,[1-9]\d*)*)@(?P<each>\d+(?:\.\d+)?)"
    r"|ramp:(?P<first>[1-9]\d*)-(?P<last>[1-9]\d*)@(?P<within>\d+(?:\.\d+)?)"
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


def parse(text: str) -> type[Shape]:
    """Return the class of a shape, which Locust can make. Raises `WorkloadError`."""
    match = _SHAPE.fullmatch(text)
    seconds = float((match and (match["each"] or match["within"])) or 0)
    if match is None or seconds == 0:
        raise WorkloadError(
            f"{text!r} is not a load shape",
            hint="Write steps:1,2,4,8@10 (each for 10 s) or ramp:1-64@60 (within 60 s).",
        )
    if match["steps"]:
        numbers = tuple(map(int, match["steps"].split(",")))
        return type("Steps", (Steps,), {"abstract": False, "numbers": numbers, "each_s": seconds})
    ends = {"first": int(match["first"]), "last": int(match["last"])}
    return type("Ramp", (Ramp,), {"abstract": False, "within_s": seconds, **ends})
