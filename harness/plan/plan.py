"""What a run will measure, and in which order. Pure.

Strategy: each block is one pass over all combinations of target, workload, load and connection, in
an order of its own, drawn from the run's seed. Whatever changes slowly on the host (temperature,
neighbours, caches) then falls on all targets alike, and blocks can be compared as replicates.
"""

from __future__ import annotations

import math
import random
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, ClassVar

from harness.errors import IsobenchError
from harness.results.conditions import BASELINE
from harness.stats.significance import SMALLEST_EFFECT

CONNECTIONS = ("close", "keep-alive")
CLIENTS = ("compiled", "lean", "fasthttp")
SCHEDULES = ("poisson", "uniform")
DEFAULT_WORKERS = 8
DEFAULT_OUTSTANDING = 64
"""How many requests of an open load are on their way at once, where each has a connection."""
LOWEST_RATE, HIGHEST_RATE = 0.001, 1_000_000.0
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
PAGE_BLOCKS = 5
PAGE_SHARE = 0.5
"""Of the seconds of other trials. Its slices are long, and an agreement within 10% needs few."""
MECHANISM_BLOCKS = 3
MECHANISM_SHARE = 0.4
"""Of the seconds of other trials: some 20 s of a run of all modes, a twelfth of its budget."""
PROBE_BLOCK = 0
"""The block of the trials that look for a knee; those that count are numbered from 1."""

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
    (see `harness.results.mechanism_cost`).
    `page_pace` is how many rounds of work a page does for each of its milliseconds (see
    `harness.trial.page_pace`), None until it is known.
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
        for name in ("targets", "workloads", "loads", "connections"):
            if not getattr(self, name):
                raise IsobenchError(
                    f"no {name} are chosen", hint="name at least one, or omit the option"
                )
        self._refuse_starvation()
        self._refuse_open_load_of_other_client()
        if self.cross_check and not any(isinstance(load, Closed) for load in self.loads):
            raise IsobenchError(
                f"{self.cross_check} can generate closed loads only, and this run has none",
                hint="add one, such as --load closed:8, or omit --cross-check",
            )
        self._refuse_meaningless_precision()
        counts = {name: getattr(self, name) for name in ("blocks", "tenants", "workers")}
        wrong = [name for name, count in counts.items() if count < 1]
        wrong += ["outstanding"] if self.bound("close") < 1 else []
        wrong += [] if self.seconds > 0 and math.isfinite(self.seconds) else ["seconds"]
        if wrong:
            raise IsobenchError(
                f"{' and '.join(wrong)} must be above zero, and finite",
                hint=f"omit --{wrong[0]} to use its default",
            )
        self._refuse_meaningless_slices()

    def _refuse_starvation(self) -> None:
        if "keep-alive" not in self.connections:
            return
        users = max((load.users for load in self.loads if isinstance(load, Closed)), default=0)
        if users > self.workers:
            raise IsobenchError(
                f"with keep-alive, {users} users starve on {self.workers} workers: "
                "a worker serves one connection until it closes",
                hint=f"use --workers {users}, fewer users, or --connection close",
            )
        if any(isinstance(load, Open | Sweep) for load in self.loads) and (
            self.bound("keep-alive") > self.workers
        ):
            raise IsobenchError(
                f"with keep-alive, {self.outstanding} outstanding requests starve on "
                f"{self.workers} workers: a worker serves one connection until it closes",
                hint=f"use --outstanding {self.workers}, more workers, or --connection close",
            )

    def _refuse_open_load_of_other_client(self) -> None:
        if self.client == "fasthttp" and any(isinstance(load, Open | Sweep) for load in self.loads):
            raise IsobenchError(
                f"the client {self.client} cannot send at intended times, as an open load requires",
                hint="use --client lean, or closed loads only",
            )

    def _refuse_meaningless_precision(self) -> None:
        shares = [share for share in (self.precision, self.smallest_effect) if share is not None]
        if not all(0 < share < 1 for share in shares) or not (self.budget_s or 1) > 0:
            raise IsobenchError(
                "--precision and --smallest-effect must be between 0 and 100%, and --budget "
                "above zero",
                hint="write them like --precision 3%, --smallest-effect 3%, --budget 10m",
            )
        if self.precision and not any(isinstance(load, Closed) for load in self.loads):
            raise IsobenchError(
                "--precision needs a closed load: an open load's rate is given, not measured",
                hint="add a closed load, such as --load closed:8, or use --budget or --blocks",
            )

    def _refuse_meaningless_slices(self) -> None:
        if self.slice_s is None:
            return
        if not 0.005 <= self.slice_s <= self.seconds:
            raise IsobenchError(
                f"slices of {self.slice_s * 1000:g} ms: they must take at least 5 ms, and at "
                "most the measured time",
                hint="use --slices 20ms, or omit it; --slices off measures each target alone",
            )
        if self.client == "fasthttp":
            raise IsobenchError(
                f"the client {self.client} cannot be interleaved",
                hint="use --slices off, or another client",
            )

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
        return {**asdict(self), "loads": [str(load) for load in self.loads]}

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> Plan:
        """Read a plan back. Raises IsobenchError where it is not one of ours."""
        try:
            lists = {name: tuple(content[name]) for name in ("targets", "workloads", "connections")}
            loads = tuple(parse_load(text) for text in content["loads"])
            knees = tuple(_knee(fields) for fields in content.get("knees", ()))
            ceilings = tuple(content.get("ceilings", ()))
            given = {**content, **lists, "loads": loads, "knees": knees, "ceilings": ceilings}
            given["mechanisms"] = tuple(content.get("mechanisms", ()))
            return cls(**given)
        except (KeyError, TypeError) as error:
            raise IsobenchError(
                f"run.json holds no plan that can be resumed: {error}",
                hint="resume with the isobench version that began the run",
            ) from error


def with_mechanism(name: str) -> str:
    """Return the name of the server that does a mechanism besides."""
    return f"{BASELINE}+{name}"


def _knee(fields: Mapping[str, Any]) -> Knee:
    curve = tuple((int(users), float(rate)) for users, rate in fields["curve"])
    return Knee(**{**fields, "curve": curve})


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
