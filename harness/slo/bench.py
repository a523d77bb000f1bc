"""Searches on real servers: each on one of its own, which closed loads, then open ones are put on.

The first closed load has one user, whose requests never wait for others: where the script alone
takes too long, no rate keeps the promise, and none is tried. The second has as many users as there
are workers, and gives the capacity with which the search begins.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np

from harness.host.cores import Cores
from harness.plan.loads import Closed, Load, Open
from harness.plan.plan import Plan, Spec
from harness.results.rows import SloRow
from harness.slo.account import account, judge, wrong_answer
from harness.slo.effort import Effort
from harness.slo.promise import Finding, Times
from harness.slo.search import Found, Look, Outcome, Search
from harness.stats.histogram import HIGHEST_US, Histogram
from harness.target import probes
from harness.target.run_resources import RunResources
from harness.target.server import Server, ServerFailed, free_port
from harness.target.sites import settle
from harness.target.targets import Target
from harness.trial.composite import CompositeContext
from harness.trial.generators.generator import Generator, LoadFailed
from harness.trial.loading import rate_of, rows_of
from harness.trial.prepare import Preparation, Prepared
from workloads import tenants

WARMUP_S: Final = 0.25
PILOT_S: Final = 0.5
_LEAST_DRAIN_S: Final = 0.5
_LIMITS_LONG: Final = 2.0
"""A pilot is at least so many times as long as the longest limit of a time."""
OVERHEAD_S: Final = 0.8
"""Of a load, about: verification, the users' coming and going, the last answers."""
STARTUP_S: Final = 0.9
"""Of a server, about, with its end."""


class WrongAnswer(Exception):
    """An answer under load was somebody else's: the search proves nothing."""


@dataclass(frozen=True)
class _Place:
    """A search's server, and which search it is."""

    server: Server
    block: int
    target: str


@dataclass(frozen=True)
class _Loaded:
    """What a load was, and what became of it."""

    row: SloRow
    rows: Times
    done: Mapping[str, Any]


class PromiseBench(CompositeContext):
    """A context: on entering there are tenants and a load generator."""

    def __init__(
        self, resources: RunResources, effort: Effort, targets: Sequence[Target], cores: Cores
    ) -> None:
        self._resources = resources
        self._effort = effort
        self._promise = effort.objective
        self._targets = {target.name: target for target in targets}
        self._cores = cores

    def _enter(self, stack: ExitStack) -> None:
        effort = self._effort
        languages = ["python", *(target.language for target in self._targets.values())]
        self.site = settle(
            self._resources, effort.tenants, self._cores, effort.page_pace, languages
        )
        settled = tenants.Manifest.read(self.site.sites.parent / "tenants.json")
        self._plan = plan_of(effort, list(self._targets))
        key = self.site.credential_key
        self._preparation = Preparation(self._plan, list(self._targets.values()), settled, key)
        log = self._resources.scratch / "generator.log"
        self._generator = stack.enter_context(Generator(self._cores.generator, log))

    @property
    def generator_versions(self) -> dict[str, str]:
        """The versions of what generates the load."""
        return self._generator.versions

    def expected_s(self) -> float:
        """Return about how long a search takes whose server is quick."""
        looks = 6 * (self._effort.seconds + WARMUP_S + OVERHEAD_S)
        return STARTUP_S + 2 * (PILOT_S + WARMUP_S + OVERHEAD_S) + looks

    def search(self, block: int, target: str) -> list[SloRow]:
        """Search once, and return a row for each load. A search that fails is void, and says why.

        Raises GeneratorFailed.
        """
        made: list[SloRow] = []
        outcome, rate = "", None
        try:
            with self._server(block, target) as server:
                found = self._searched(_Place(server, block, target), made)
            outcome, rate = str(found.outcome), found.rate
        except (LoadFailed, ServerFailed, WrongAnswer) as error:
            outcome = f"void: {' '.join(str(error).split())}"
            void = replace(self._row(block, target, len(made), Closed(1)), verdict="void")
            made.append(replace(void, first_error=outcome))
        return [replace(row, outcome=outcome, found_per_second=rate) for row in made]

    def _searched(self, place: _Place, made: list[SloRow]) -> Found:
        for users in dict.fromkeys((1, self._effort.workers)):
            pilot = self._pilot(place, Closed(users), len(made))
            made.append(pilot.row)
            if users == 1 and self._is_hopeless(pilot):
                return Found(Outcome.NEVER)
        capacity = max(row.answered_per_second or 0.0 for row in made)
        search = Search(capacity, self._effort.least_rate)
        while (rate := search.next_rate()) is not None:
            row, look = self._look(place, rate, len(made))
            made.append(row)
            offered = rate if look is Look.BOUND else row.offered_per_second or rate
            search = search.after(offered, look)
        return search.found()

    def _is_hopeless(self, serial: _Loaded) -> bool:
        # No answer at all: each would have taken longer than the whole window.
        return not len(serial.rows) or self._promise.is_hopeless(serial.rows[:, 1])

    def _pilot(self, place: _Place, load: Closed, step: int) -> _Loaded:
        """Put a closed load on. Raises WrongAnswer where it has a wrong one, or none at all."""
        seconds = max(PILOT_S, _LIMITS_LONG * self._promise.longest_s)
        loaded = self._load(place, step, load, seconds)
        done = loaded.done
        row = replace(loaded.row, verdict="pilot")
        begin, end = done["window"]
        completed = loaded.rows[:, 0]
        rows = loaded.rows[(completed >= begin) & (completed < end)]
        if done["errors"] or not (len(rows) or self._promise.longest_s):
            reason = (done["evidence"] or {}).get("reason", "no request was answered")
            raise WrongAnswer(f"{done['errors']} wrong answers, first: {reason}")
        if len(rows):
            row = _with_times(row, rows[:, 1], self._promise.judge(rows[:, 1], 0.0))
            row = replace(row, answered_per_second=rate_of(rows))
        return replace(loaded, row=row, rows=rows)

    def _look(self, place: _Place, rate: float, step: int) -> tuple[SloRow, Look]:
        seconds = self._effort.load_s(rate)
        loaded = self._load(place, step, Open(rate), seconds)
        if wrong := wrong_answer(loaded.done):
            raise WrongAnswer(wrong)
        load = account(loaded.rows, loaded.done, self._plan.bound(self._effort.connection))
        row = replace(
            loaded.row,
            offered_per_second=len(load.response_us) / seconds,
            answered_per_second=load.answered / seconds,
            dropped=load.dropped,
            generator_busy_share=load.busy_share,
            wanted_requests=self._promise.requests,
        )
        if not len(load.response_us):  # by chance, or so: FEWEST are expected at least
            return replace(row, verdict=str(Look.KEPT), requests=0), Look.KEPT
        look, finding = judge(self._promise, load)
        verdict = "overloaded" if look is Look.BROKEN and load.grown else str(look)
        return replace(_with_times(row, load.response_us, finding), verdict=verdict), look

    def _load(self, place: _Place, step: int, load: Load, seconds: float) -> _Loaded:
        """Put a load on. Raises LoadFailed, and ServerFailed where that is the reason."""
        server, processes = place.server, self._resources.processes
        readings: list[probes.Reading] = []
        try:
            done = self._generator.trial(
                self._command(place, step, load, seconds),
                lambda _event, _at: readings.append(probes.read(server, processes)),
            )
        except LoadFailed:
            server.must_be_there()
            raise
        if server.has_ended():
            server.must_be_there()
        begin, end = done["window"]
        cpu_s = probes.between(*readings).cpu_s
        row = replace(
            self._row(place.block, place.target, step, load),
            measured_s=end - begin,
            errors=done["errors"],
            first_error=(done["evidence"] or {}).get("reason"),
            server_cpu_us_per_request=1e6 * cpu_s / done["requests"] if done["requests"] else None,
        )
        return _Loaded(row, rows_of(done), done)

    def _command(self, place: _Place, step: int, load: Load, seconds: float) -> dict[str, Any]:
        output = self._resources.scratch / "trial.npy"
        prepared = self._prepared(place.block, place.target, load)
        command = prepared.addressed(place.server.host, place.server.port, output)
        return command | {
            "trial": f"{place.block:03d}/{place.target}/{step}/{load}",
            "seed": command["seed"] * 100 + step,
            "warmup_s": WARMUP_S,
            "measure_s": seconds,
            "drain_s": max(_LEAST_DRAIN_S, 2 * self._promise.longest_s),
        }

    def _prepared(self, block: int, target: str, load: Load) -> Prepared:
        effort = self._effort
        spec = Spec(block, 1, target, effort.workload, load, effort.connection)
        return self._preparation.prepare(spec)

    def _server(self, block: int, target: str) -> Server:
        """Return a server that is not started yet."""
        prepared = self._prepared(block, target, Closed(1))
        port = free_port(prepared.setup.ports)
        arguments = ["--port", str(port), "--workers", str(self._effort.workers)]
        if not self._effort.code_cache and not prepared.target.is_peer:
            arguments.append("--no-code-cache")
        environment = prepared.setup.environment()
        processes = self._resources.processes
        return Server(prepared.target, self.site, processes, arguments, environment)

    def _row(self, block: int, target: str, step: int, load: Load) -> SloRow:
        effort = self._effort
        return SloRow(
            target=target,
            runs_as=self._targets[target].runs_as,
            promise=str(self._promise),
            block=block,
            outcome="",
            step=step,
            load=str(load),
            verdict="void",
            workload=effort.workload,
            connection=effort.connection,
            tenants=effort.tenants,
            server_cores=max(1, len(self._cores.server)),
            rate_per_tenant=effort.rate_per_tenant,
        )


def plan_of(effort: Effort, targets: Sequence[str]) -> Plan:
    """Return the plan that has all that the loads of a search are. Raises IsobenchError."""
    return Plan(
        targets=tuple(targets),
        workloads=(effort.workload,),
        loads=(Closed(effort.workers), Open(1.0)),
        connections=(effort.connection,),
        tenants=effort.tenants,
        popularity=effort.popularity,
        workers=effort.workers,
        outstanding=effort.outstanding,
        code_cache=effort.code_cache,
        client=effort.client,
        seed=effort.seed,
    )


def _with_times(row: SloRow, times_us: Times, finding: Finding) -> SloRow:
    """Return a row with the times of its requests, and how near they are to their limit."""
    p50, p99 = np.quantile(times_us, (0.5, 0.99), method="inverted_cdf") / 1000
    return replace(
        row,
        requests=len(times_us),
        measure=finding.clause.measure,
        value=_finite(finding.value),
        margin=_finite(finding.margin),
        p50_ms=_finite(p50),
        p99_ms=_finite(p99),
        hdr=Histogram.of(np.minimum(times_us, HIGHEST_US)).to_text(),
    )


def _finite(number: float) -> float | None:
    return float(number) if np.isfinite(number) else None
