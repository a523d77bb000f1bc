"""How much is measured. Pure."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from harness.errors import IsobenchError
from harness.neighbour.limits import CGROUP
from harness.neighbour.noises import Noise

OVERHEAD_S = 0.27
"""Of a window, about: verification, warm-up, the last answers, and what slow targets take longer.
"""
STARTUP_S = 0.8
"""Of a server, about, with its end and its first warm-up."""
LEAST_REQUESTS = 10
"""Of a window, expected: fewer say nothing of a tail, and a random schedule may have none."""
LONGEST = 4.0
"""How many times as long the window of a slow target may be."""
SHARE_OF_CAPACITY = 0.25
"""The most that the quiet tenant asks of a target: alone, it must have it easy."""
_LEAST_RATE = 2.0


@dataclass(frozen=True)
class Effort:
    """In each block every target has a window of `seconds` alone and one with each noise.

    The quiet tenant sends `rate` requests a second, less where that is too much for the target.
    All windows of a target are equally long, since the p99 of few requests rises with their number.
    """

    blocks: int = 2
    seconds: float = 0.35
    rate: float = 100.0
    workers: int = 4

    def __post_init__(self) -> None:
        """Refuse what cannot be measured. Raises IsobenchError."""
        for name in ("blocks", "seconds", "rate", "workers"):
            if not 0 < getattr(self, name) < 1e6:
                raise IsobenchError(
                    f"{name} must be a number above 0",
                    hint=f"omit --{name} to use its default",
                )

    def expected_s(self, windows: int) -> float:
        """Return about how long a server takes with so many windows."""
        return STARTUP_S + windows * (self.seconds + OVERHEAD_S)

    def rate_for(self, capacity: float) -> float:
        """Return the quiet tenant's rate, for a target that can answer so many a second alone."""
        most = max(_LEAST_RATE, SHARE_OF_CAPACITY * capacity)
        return self.rate if self.rate <= most else float(f"{most:.2g}")

    def seconds_for(self, rate: float) -> float:
        """Return the length of a window at that rate: longer where few requests would be sent."""
        return min(LONGEST * self.seconds, max(self.seconds, LEAST_REQUESTS / rate))


@dataclass(frozen=True)
class Series:
    """What one server is there for: these noises one after the other, under these limits."""

    block: int
    target: str
    limits: str
    noises: tuple[Noise, ...]


def plan(
    effort: Effort,
    targets: Mapping[str, str],
    noises: Sequence[Noise],
    means: Sequence[tuple[str, ...]],
    seed: int,
) -> list[list[Series]]:
    """Return the series of each block, in a seeded order.

    `targets` are names, each with whose identity scripts have there. `means` has an entry for each
    pass: what limits the tenants in it, () for nothing. Under limits, only those noises are made
    that one of these can limit; where scripts are the server's, no cgroup can, since no process is
    a tenant's.
    """
    blocks = []
    for block in range(1, effort.blocks + 1):
        chance = random.Random(f"{seed}/{block}/neighbour")
        series = [
            Series(block, target, limits[-1] if limits else "none", tuple(chance.sample(made, n)))
            for limits in means
            for target, runs_as in targets.items()
            if (n := len(made := [one for one in noises if _is_made(one, limits, runs_as)]))
        ]
        blocks.append(chance.sample(series, len(series)))
    return blocks


def _is_made(noise: Noise, limits: Sequence[str], runs_as: str) -> bool:
    if not limits:
        return True
    means = set(limits) - ({CGROUP} if runs_as == "server" else set())
    return bool(set(noise.limited_by) & means)
