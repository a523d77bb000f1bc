"""What a density study measures, in which order, and whether a step still fits. Pure."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from harness.errors import IsobenchError
from harness.stats.line import Line, fit
from workloads import popularity

MOST_TENANTS = 10_000
LEFT_FREE = 0.2
"""The share of the host's memory that no server may take: it is not ours alone."""


@dataclass(frozen=True)
class Procedure:
    """A study: numbers of tenants, ascending, each asked for by each popularity.

    Before the loads each tenant is asked once, within `waking_s` seconds, so that the processes
    that a tenant has are there. `warmup_s` and `seconds` are those of one load; `budget_s` bounds
    the whole study. `cold` is how many tenants a cold start is measured with; 0: not at all.
    """

    tenants: tuple[int, ...] = (1, 10, 100, 1000)
    popularities: tuple[str, ...] = ("uniform", "zipf:1")
    users: int = 8
    waking_s: float = 10.0
    warmup_s: float = 0.5
    seconds: float = 1.0
    budget_s: float = 600.0
    cold: int = 60
    seed: int = 0

    def __post_init__(self) -> None:
        """Raise IsobenchError for what cannot be measured."""
        for number in self.tenants:
            if not 1 <= number <= MOST_TENANTS:
                raise IsobenchError(
                    f"--tenants {number} is out of range",
                    hint=f"choose numbers from 1 to {MOST_TENANTS}",
                )
        for one in self.popularities:
            popularity.parse(one)
        if not (self.popularities and 0 < self.budget_s < math.inf):
            raise IsobenchError(
                "a study needs a popularity, and a budget that ends",
                hint="omit --popularity and --budget to use their defaults",
            )


QUICK = Procedure(
    tenants=(1, 10, 100), seconds=0.4, waking_s=3.0, warmup_s=0.3, budget_s=150.0, cold=20
)


def parse_tenants(text: str) -> tuple[int, ...]:
    """Read numbers such as "1,10,100", in ascending order. Raises IsobenchError."""
    parts = [part.strip().replace("_", "") for part in text.split(",")]
    if not all(part.isascii() and part.isdecimal() for part in parts):
        raise IsobenchError(
            f"--tenants {text!r} is not a list of numbers", hint="write --tenants 1,10,100"
        )
    return tuple(sorted({int(part) for part in parts}))


def asked_by(tenants: int, by: str, seed: int, requests: int) -> set[int]:
    """Return which tenants a load of so many requests asked for, by their places.

    The order is drawn by the seed, so it is known.
    """
    return set(map(int, popularity.draw(popularity.parse(by), tenants, seed)[:requests]))


def why_too_large(
    points: Iterable[tuple[int, float]], tenants: int, available_mib: float
) -> str | None:
    """Return why a server with so many tenants would not fit into memory, None where it may.

    `points` are numbers of tenants and what the target took with them, in MiB.
    """
    known = list(points)
    numbers = {number for number, _ in known}
    if len(numbers) < 2 or tenants <= max(numbers):
        return None
    line: Line = fit(known)
    expected = line.at(tenants)
    if expected <= available_mib:
        return None
    return f"would take {expected / 1024:.1f} GiB, and {available_mib / 1024:.1f} GiB are free"


def steps(procedure: Procedure, targets: Sequence[str]) -> list[tuple[int, str]]:
    """Return numbers of tenants with targets, in the order in which they are measured.

    By ascending numbers, so that what is left out when time runs out are the largest.
    """
    return [(number, target) for number in procedure.tenants for target in targets]
