"""What is asked of a target, and how often: closed loads, open loads, and sweeps of these. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from harness.errors import IsobenchError
from workloads.access_log.summary import Summary

SCHEDULES = ("poisson", "uniform")
DEFAULT_WORKERS = 8
LOWEST_RATE, HIGHEST_RATE = 0.001, 1_000_000.0

_CLOSED = re.compile(r"closed:([1-9]\d*)")
_OPEN = re.compile(r"open:(\d+(?:\.\d+)?)(?::([a-z]+))?")


@dataclass(frozen=True)
class Closed:
    """A closed load: `users` users, each of whom sends when it has its answer."""

    users: int

    def __str__(self) -> str:
        return f"closed:{self.users}"


@dataclass(frozen=True)
class Open:
    """An open load: `rate` requests a second are sent, whether others were answered or not.

    `schedule` says how they follow each other: `poisson`, as those of many people who do not know
    of each other, or `uniform`, evenly.
    """

    rate: float
    schedule: str = "poisson"

    def __str__(self) -> str:
        return f"open:{self.rate:.15g}" + (
            "" if self.schedule == "poisson" else f":{self.schedule}"
        )


@dataclass(frozen=True)
class Portion(Open):
    """An open load at `percent` percent of a target's knee: its `rate` is the target's own."""

    percent: int = 0

    def __str__(self) -> str:
        return f"open:{self.percent}%"


@dataclass(frozen=True)
class Replay(Open):
    """An open load of the requests of an access log, at the log's own times.

    `speed` times as fast; `rate` is their mean then. `period_s` is the length of the log at its own
    speed, after which it begins anew. `trace` is the SHA-256 of what generators read, by which
    loads of different logs differ. `log` says what was read.
    """

    speed: float = 1.0
    period_s: int = 1
    trace: str = ""
    log: Summary | None = None

    def __str__(self) -> str:
        return f"open:log:{self.speed:.4g}x:{self.trace[:8]}"

    def fits(self, seconds: float) -> bool:
        """Return whether so many seconds are enough for the whole log."""
        return self.period_s <= self.speed * seconds * (1 + 1e-9)

    @classmethod
    def from_json(cls, fields: Mapping[str, Any]) -> Replay:
        """Read it from run.json. Raises KeyError or TypeError where it is not one of ours."""
        return cls(**{**fields, "log": Summary.from_json(fields["log"])})


@dataclass(frozen=True)
class Sweep:
    """Open loads at several percentages of each target's knee, which the run finds first."""

    percents: ClassVar[tuple[int, ...]] = (20, 50, 80, 95)

    def __str__(self) -> str:
        return "sweep"


Load = Closed | Open


@dataclass(frozen=True)
class Knee:
    """The closed load beyond which more users bring no more answers; see `sweep`.

    `rate` is the best one seen, in requests per second, 0 where nothing could be measured; `users`
    the fewest that came close to it; `curve` has the rate by number of users.
    """

    target: str
    workload: str
    connection: str
    users: int
    rate: float
    curve: tuple[tuple[int, float], ...] = ()


def parse_load(text: str) -> Load | Sweep:
    """Read a load: `closed:8`, `open:500`, `open:500:uniform` or `sweep`. Raises IsobenchError."""
    if text == str(Sweep()):
        return Sweep()
    if match := _CLOSED.fullmatch(text):
        return Closed(int(match[1]))
    if match := _OPEN.fullmatch(text):
        return _open(float(match[1]), match[2] or "poisson")
    raise IsobenchError(
        f"{text!r} is not a load",
        hint="write closed:N for N users, such as closed:8, or open:R for R requests a second, "
        "such as open:500 or open:500:uniform, or sweep",
    )


def _open(rate: float, schedule: str) -> Open:
    if not LOWEST_RATE <= rate <= HIGHEST_RATE:
        raise IsobenchError(
            f"{rate:g} requests a second cannot be offered",
            hint=f"choose a rate from {LOWEST_RATE:g} to {HIGHEST_RATE:,.0f}, such as open:500",
        )
    if schedule not in SCHEDULES:
        raise IsobenchError(
            f"unknown schedule {schedule!r}", hint=f"choose one of {', '.join(SCHEDULES)}"
        )
    return Open(rate, schedule)


def workers_for(loads: Iterable[Load | Sweep]) -> int:
    """Return how many workers a pool has unless told otherwise: as many as there are users."""
    wanted = (load.users if isinstance(load, Closed) else DEFAULT_WORKERS for load in loads)
    return max(wanted, default=DEFAULT_WORKERS)


def read_knee(fields: Mapping[str, Any]) -> Knee:
    """Read a knee back from JSON. Raises KeyError and TypeError where it is none."""
    curve = tuple((int(users), float(rate)) for users, rate in fields["curve"])
    return Knee(**{**fields, "curve": curve})
