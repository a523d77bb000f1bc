"""How much is measured to find what a promise allows. Pure."""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final

from harness.errors import IsobenchError
from harness.plan.loads import DEFAULT_WORKERS
from harness.plan.plan import HELLO
from harness.slo.promise import Promise, parse

LONGER: Final = 3.0
"""A load may be so many times as long as usual, where its requests would be too few."""
LIMITS_LONG: Final = 5.0
"""A load is at least so many times as long as the longest limit of a time."""
FEWEST: Final = 10
"""No rate is looked at that would give fewer requests in the longest load."""


@dataclass(frozen=True)
class Effort:
    """A study: `blocks` searches of each target, each on a server of its own.

    `promise` is text as `harness.slo.promise.parse` takes it. `seconds` is the measured time of a
    load. No block begins that would not end within `budget_s`; the first one always does.
    `rate_per_tenant` is in requests a second, None where it is not known.
    """

    promise: str
    rate_per_tenant: float | None = None
    workload: str = HELLO
    connection: str = "close"
    tenants: int = 10
    popularity: str = "uniform"
    workers: int = DEFAULT_WORKERS
    outstanding: int | None = None
    code_cache: bool = True
    client: str = "lean"
    blocks: int = 5
    seconds: float = 1.0
    budget_s: float = 1500.0
    seed: int = 0
    page_pace: int | None = None

    def __post_init__(self) -> None:
        """Raise IsobenchError for what cannot be measured."""
        parse(self.promise)
        for name in ("blocks", "seconds", "budget_s", "rate_per_tenant"):
            value = getattr(self, name)
            if value is not None and not 0 < value < 1e6:
                option = f"--{name.removesuffix('_s').replace('_', '-')}"
                raise IsobenchError(
                    f"{option} must be a number above 0",
                    hint=f"omit {option}, or give a number such as 1",
                )

    @property
    def objective(self) -> Promise:
        """The promise."""
        return parse(self.promise)

    @property
    def longest_s(self) -> float:
        """The measured time that a load takes at most."""
        return max(LONGER * self.seconds, LIMITS_LONG * self.objective.longest_s)

    @property
    def least_rate(self) -> float:
        """The lowest rate, in requests a second, that is looked at."""
        return FEWEST / self.longest_s

    def load_s(self, rate: float) -> float:
        """Return the measured time of a load at this rate: long enough, as far as it may be."""
        least = max(self.seconds, LIMITS_LONG * self.objective.longest_s)
        return min(self.longest_s, max(least, self.objective.requests / rate))

    def to_json(self) -> dict[str, Any]:
        """Return it as run.json has it."""
        return asdict(self)

    @classmethod
    def from_json(cls, fields: Mapping[str, Any]) -> Effort:
        """Read it back. Raises IsobenchError where another version wrote it."""
        try:
            return cls(**fields)
        except TypeError as error:
            raise IsobenchError(
                f"run.json holds no search that can be resumed: {error}",
                hint="resume with the isobench version that began it",
            ) from error


def of(promise: str, *, quick: bool, **given: Any) -> Effort:
    """Return the study that is asked for, by the fields of `Effort`; None stands for the default.

    A quick one takes a few minutes and is less precise. Raises IsobenchError.
    """
    least: dict[str, Any] = {"blocks": 2, "seconds": 0.5, "budget_s": 480.0} if quick else {}
    return Effort(promise, **least | {name: one for name, one in given.items() if one is not None})


def searches(effort: Effort, targets: Sequence[str]) -> Iterator[tuple[int, str]]:
    """Yield each search: its block, from 1, and its target, in an order that the seed gives."""
    for block in range(1, effort.blocks + 1):
        chance = random.Random(f"{effort.seed}/{block}/slo")
        yield from ((block, target) for target in chance.sample(list(targets), len(targets)))
