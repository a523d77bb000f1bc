"""What a run will measure, and in which order. Pure.

Strategy: each block is one pass over all combinations of target, workload, load and connection, in
an order of its own, drawn from the run's seed. Whatever changes slowly on the host (temperature,
neighbours, caches) then falls on all targets alike, and blocks can be compared as replicates.
"""

from __future__ import annotations

import math
import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from harness.errors import IsobenchError
from harness.plan import refusals
from harness.plan.loads import (
    DEFAULT_WORKERS,
    Closed,
    Knee,
    Load,
    Portion,
    Replay,
    Sweep,
    parse_load,
    read_knee,
)
from harness.results.conditions import BASELINE
from harness.stats.significance import SMALLEST_EFFECT

CONNECTIONS = ("close", "keep-alive")
CLIENTS = ("compiled", "lean", "fasthttp")
DEFAULT_OUTSTANDING = 64
"""How many requests of an open load are on their way at once, where each has a connection."""
CEILING_SECONDS, CEILING_WARMUP = 0.5, 0.25
PROBE_SECONDS, PROBE_WARMUP = 0.5, 0.2
MOST_TOGETHER = 24
"""How many servers live at once: each takes memory, and has a generator of some 60 MiB."""
HELLO = "hello"
PAGE = "page:5ms"
PAGE_TARGETS = ("dso", "fastcgi", "harache")
"""The targets with which a page shows whether overheads carry over to it: the baseline, a worker of
the tenant's that is there already, and a process that is forked. A program that is executed takes
slices of two seconds for such a page."""
PAGE_BLOCKS = 3
PAGE_SHARE = 0.5
"""Of the seconds of other trials. Its slices are long, and an agreement within 10% needs few."""
MECHANISM_BLOCKS = 2
MECHANISM_SHARE = 0.4
"""Of the seconds of other trials: some 20 s of a run of all modes, a twelfth of its budget."""
PROBE_BLOCK = 0
"""The block of the trials that look for a knee; those that count are numbered from 1."""


@dataclass(frozen=True)
class Spec:
    """One trial to be made."""

    block: int
    position: int
    target: str
    workload: str
    load: Load
    connection: str
    attempt: int = 1

    @property
    def trial(self) -> str:
        """The trial's name, unique in its run and the same after a resume."""
        again = "" if self.attempt == 1 else f"/{self.attempt}"
        condition = f"{self.workload}/{self.load}/{self.connection}"
        return f"{self.block:03d}/{self.target}/{condition}{again}"


@dataclass(frozen=True, kw_only=True)
class Plan:
    """All that decides what a run measures; written to run.json, read back by a resume.

    `seconds` and `warmup_s` are of one trial, `workers` is the size of each target's pool.
    `outstanding` bounds how many requests of an open load are on their way at once; None stands
    for 64 where each has a connection, and for as many as there are workers with keep-alive.
    `ceilings` are the responders against which the generator itself is measured, in trials of
    `CEILING_SECONDS` at most. `knees` are those found so far, of the targets of a sweep.
    `cross_check` names the tool that repeats the closed loads after the blocks.
    `precision` is a share and `budget_s` is in seconds: with either, `blocks` is only a bound (see
    `stopping`). `smallest_effect` is the share below which a difference does not matter.
    With `slice_s` seconds, the targets of a closed load are interleaved (see `interleaving`), in
    slices of that length or longer, `warmup_s` and `seconds` in all; None has each alone.
    `page` is a workload that is measured beside, with those of `PAGE_TARGETS` among the targets, in
    the first `PAGE_BLOCKS` blocks and under one condition; None where that is not wanted.
    `mechanisms` are measured beside, under one condition, in the first `MECHANISM_BLOCKS` blocks
    (see `harness.results.analysis.mechanism_cost`).
    `page_pace` is how many rounds of work a page does for each of its milliseconds (see
    `harness.trial.beside.page_pace`), None until it is known.
    """

    targets: tuple[str, ...]
    workloads: tuple[str, ...] = (HELLO,)
    loads: tuple[Load | Sweep, ...] = (Closed(8),)
    connections: tuple[str, ...] = CONNECTIONS
    blocks: int = 5
    seconds: float = 1.0
    warmup_s: float = 0.3
    tenants: int = 10
    popularity: str = "uniform"
    workers: int = DEFAULT_WORKERS
    outstanding: int | None = None
    code_cache: bool = True
    client: str = "lean"
    seed: int = 1
    ceilings: tuple[str, ...] = ()
    knees: tuple[Knee, ...] = ()
    cross_check: str | None = None
    precision: float | None = None
    budget_s: float | None = None
    smallest_effect: float = SMALLEST_EFFECT
    slice_s: float | None = None
    page: str | None = None
    page_pace: int | None = None
    mechanisms: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Refuse what cannot be measured, or would not mean what it seems to."""
        refusals.check(self)

    @property
    def replay(self) -> Replay | None:
        """The access log that is replayed, None where there is none."""
        return next((load for load in self.loads if isinstance(load, Replay)), None)

    @property
    def open_ended(self) -> bool:
        """Whether the number of blocks is only a bound."""
        return self.precision is not None or self.budget_s is not None

    def bound(self, connection: str) -> int:
        """Return how many requests of an open load may be on their way at once.

        More than that wait in the generator, while their response time counts on.
        """
        if self.outstanding is not None:
            return self.outstanding
        return self.workers if connection == "keep-alive" else DEFAULT_OUTSTANDING

    def trials(self) -> Iterator[Spec]:
        """Yield every trial of the run in the order in which they are to be made."""
        usual, beside = list(self._combinations()), list(self._beside())
        for block in range(1, self.blocks + 1):
            combinations = [*usual, *(beside if block <= PAGE_BLOCKS else ())]
            order = random.Random(f"{self.seed}/{block}").sample(combinations, len(combinations))
            for position, (target, workload, load, connection) in enumerate(order, 1):
                yield Spec(block, position, target, workload, load, connection)

    def is_interleaved(self, spec: Spec) -> bool:
        """Return whether a trial shares its time with others: if its load is closed."""
        interleaved = self.slice_s is not None and spec.block != PROBE_BLOCK
        return interleaved and isinstance(spec.load, Closed)

    def together(self, specs: Sequence[Spec]) -> Iterator[list[Spec]]:
        """Divide the trials of a block into those whose servers live at the same time.

        One server of each target serves all its interleaved trials, one condition after the other.
        There are no more than `MOST_TOGETHER` servers.
        """
        shared = [spec for spec in specs if self.is_interleaved(spec)]
        yield from ([spec] for spec in specs if not self.is_interleaved(spec))
        targets = list(dict.fromkeys(spec.target for spec in shared))
        count = math.ceil(len(targets) / MOST_TOGETHER)
        for number in range(count):
            yield [spec for spec in shared if spec.target in targets[number::count]]

    def _combinations(self) -> Iterator[tuple[str, str, Load, str]]:
        for workload in self.workloads:
            for connection in self.connections:
                for load in self.loads:
                    if isinstance(load, Sweep):
                        yield from self._portions(workload, connection)
                        continue
                    # What an open load's generator cannot do, it tells by itself: it is late.
                    ceilings = self.ceilings if isinstance(load, Closed) else ()
                    for target in (*self.targets, *ceilings):
                        yield target, workload, load, connection

    def _beside(self) -> Iterator[tuple[str, str, Load, str]]:
        """Yield what is measured of the page; nothing without the baseline and another target."""
        load = next((load for load in self.loads if isinstance(load, Closed)), None)
        targets = [target for target in PAGE_TARGETS if target in self.targets]
        if self.page is None or load is None or len(targets) < 2 or PAGE_TARGETS[0] not in targets:
            return
        connection = "close" if "close" in self.connections else self.connections[0]
        for target in targets:
            yield target, self.page, load, connection

    def of_mechanisms(self, block: int) -> list[Spec]:
        """Return the trials of mechanisms in a block, and that of the baseline beside them.

        None where nothing is interleaved, or there is no `hello` to compare modes by.
        """
        load = next((load for load in self.loads if isinstance(load, Closed)), None)
        wanted = self.mechanisms and self.slice_s is not None and HELLO in self.workloads
        if (
            not wanted
            or BASELINE not in self.targets
            or load is None
            or not 1 <= block <= MECHANISM_BLOCKS
        ):
            return []
        connection = "close" if "close" in self.connections else self.connections[0]
        names = [BASELINE, *map(with_mechanism, self.mechanisms)]
        return [
            Spec(block, place, name, HELLO, load, connection) for place, name in enumerate(names, 1)
        ]

    def seconds_together(self, specs: Sequence[Spec]) -> float:
        """Return the measured seconds of each of these trials, which are of one condition."""
        if any(spec.target in map(with_mechanism, self.mechanisms) for spec in specs):
            return self.seconds * MECHANISM_SHARE
        return self.seconds_of(specs[0].workload)

    @property
    def every_workload(self) -> tuple[str, ...]:
        """The workloads, and that which is measured beside them."""
        return self.workloads if self.page is None else (*self.workloads, self.page)

    def _portions(self, workload: str, connection: str) -> Iterator[tuple[str, str, Load, str]]:
        for knee in self.knees:
            if (knee.workload, knee.connection) != (workload, connection):
                continue
            if knee.target in self.targets and knee.rate > 0:
                for percent in Sweep.percents:
                    load = Portion(rate=knee.rate * percent / 100, percent=percent)
                    yield knee.target, workload, load, connection

    def times(self, spec: Spec) -> tuple[float, float]:
        """Return the seconds of warm-up and the measured seconds of a trial."""
        if spec.block == PROBE_BLOCK:
            return PROBE_WARMUP, PROBE_SECONDS
        if spec.target in self.ceilings:
            return min(self.warmup_s, CEILING_WARMUP), min(self.seconds, CEILING_SECONDS)
        return self.warmup_s, self.seconds_of(spec.workload)

    def seconds_of(self, workload: str) -> float:
        """Return the measured seconds of a target in a block with this workload."""
        beside = workload == self.page and workload not in self.workloads
        return self.seconds * PAGE_SHARE if beside else self.seconds

    def to_json(self) -> dict[str, Any]:
        """Return the plan as JSON takes it."""
        content = {**asdict(self), "loads": [str(load) for load in self.loads]}
        return content if self.replay is None else {**content, "replay": asdict(self.replay)}

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> Plan:
        """Read a plan back. Raises IsobenchError where it is not one of ours."""
        try:
            lists = {name: tuple(content[name]) for name in ("targets", "workloads", "connections")}
            replay = Replay.from_json(content["replay"]) if "replay" in content else None
            loads = tuple(
                replay if replay and text == str(replay) else parse_load(text)
                for text in content["loads"]
            )
            knees = tuple(read_knee(fields) for fields in content.get("knees", ()))
            ceilings = tuple(content.get("ceilings", ()))
            given = {**content, **lists, "loads": loads, "knees": knees, "ceilings": ceilings}
            given["mechanisms"] = tuple(content.get("mechanisms", ()))
            given.pop("replay", None)
            return cls(**given)
        except (KeyError, TypeError, ValueError, OverflowError) as error:
            raise IsobenchError(
                f"run.json holds no plan that can be resumed: {error}",
                hint="resume with the isobench version that began the run",
            ) from error


def with_mechanism(name: str) -> str:
    """Return the name of the server that does a mechanism besides."""
    return f"{BASELINE}+{name}"
