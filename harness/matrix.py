"""What a run will measure, and in which order. Pure.

Strategy: each block is one pass over all combinations of target, workload, load and connection, in
an order of its own, drawn from the run's seed. Whatever changes slowly on the host (temperature,
neighbours, caches) then falls on all targets alike, and blocks can be compared as replicates.
"""

from __future__ import annotations

import math
import random
import re
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from harness.errors import IsobenchError

CONNECTIONS = ("close", "keep-alive")
CLIENTS = ("lean", "fasthttp")
_CLOSED = re.compile(r"closed:([1-9]\d*)")


@dataclass(frozen=True)
class Load:
    """A closed load: `users` users, each of whom sends when it has its answer."""

    users: int

    def __str__(self) -> str:
        return f"closed:{self.users}"


@dataclass(frozen=True)
class Spec:
    """One trial to be made."""

    block: int
    position: int
    target: str
    workload: str
    load: Load
    connection: str

    @property
    def trial(self) -> str:
        """The trial's name, unique in its run and the same after a resume."""
        return f"{self.block:03d}/{self.target}/{self.workload}/{self.load}/{self.connection}"


@dataclass(frozen=True, kw_only=True)
class Plan:
    """All that decides what a run measures; written to run.json, read back by a resume.

    `seconds` and `warmup_s` are of one trial, `workers` is the size of each target's pool.
    """

    targets: tuple[str, ...]
    workloads: tuple[str, ...] = ("hello",)
    loads: tuple[Load, ...] = (Load(8),)
    connections: tuple[str, ...] = CONNECTIONS
    blocks: int = 5
    seconds: float = 1.0
    warmup_s: float = 0.3
    tenants: int = 10
    popularity: str = "uniform"
    workers: int = 8
    code_cache: bool = True
    client: str = "lean"
    seed: int = 1

    def __post_init__(self) -> None:
        """Refuse what cannot be measured, or would not mean what it seems to."""
        for name in ("targets", "workloads", "loads", "connections"):
            if not getattr(self, name):
                raise IsobenchError(
                    f"no {name} are chosen", hint="name one, or leave the option out"
                )
        starving = [load for load in self.loads if load.users > self.workers]
        if "keep-alive" in self.connections and starving:
            raise IsobenchError(
                f"with keep-alive, {starving[0].users} users starve on {self.workers} workers: "
                "a worker serves one connection until it closes",
                hint=f"use --workers {starving[0].users}, fewer users, or --connection close",
            )
        counts = (self.blocks, self.tenants, self.workers)
        if min(counts) < 1 or not (self.seconds > 0 and math.isfinite(self.seconds)):
            raise IsobenchError(
                "blocks, seconds, tenants and workers must be more than nothing, and finite",
                hint="leave them out for sensible values",
            )

    def trials(self) -> Iterator[Spec]:
        """Yield every trial of the run in the order in which they are to be made."""
        combinations = [
            (target, workload, load, connection)
            for target in self.targets
            for workload in self.workloads
            for load in self.loads
            for connection in self.connections
        ]
        for block in range(1, self.blocks + 1):
            order = random.Random(f"{self.seed}/{block}").sample(combinations, len(combinations))
            for position, (target, workload, load, connection) in enumerate(order, 1):
                yield Spec(block, position, target, workload, load, connection)

    def to_json(self) -> dict[str, Any]:
        """Return the plan as JSON takes it."""
        return {**asdict(self), "loads": [str(load) for load in self.loads]}

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> Plan:
        """Read a plan back. Raises IsobenchError where it is not one of ours."""
        try:
            lists = {name: tuple(content[name]) for name in ("targets", "workloads", "connections")}
            loads = tuple(parse_load(text) for text in content["loads"])
            return cls(**{**content, **lists, "loads": loads})
        except (KeyError, TypeError) as error:
            raise IsobenchError(
                f"run.json holds no plan that can be resumed: {error}",
                hint="resume with the isobench version that began the run",
            ) from error


def parse_load(text: str) -> Load:
    """Read a load such as `closed:8`. Raises IsobenchError."""
    match = _CLOSED.fullmatch(text)
    if match is None:
        raise IsobenchError(
            f"{text!r} is not a load", hint="write closed:N for N users, such as closed:8"
        )
    return Load(int(match[1]))
