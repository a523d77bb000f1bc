"""Makes trials for real: starts the target, has it loaded, reads the probes, stops it.

The road of a trial: see `assess`.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from itertools import islice
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from harness.host import interference
from harness.host.cgroup import ProcessGroup
from harness.host.cores import Cores
from harness.plan.loads import Closed
from harness.plan.plan import Plan, Spec
from harness.results.conditions import BASELINE
from harness.results.rows import TrialRow
from harness.target import probes
from harness.target.run_resources import RunResources
from harness.target.server import Server, ServerFailed, Site, free_port
from harness.target.sites import settle
from harness.target.targets import Target
from harness.trial import ceiling, crosscheck
from harness.trial.assess import judge
from harness.trial.barrier import Barrier
from harness.trial.composite import CompositeContext
from harness.trial.condition import Condition, Paces, by_condition
from harness.trial.forked_generators import ForkServer
from harness.trial.generator import Generator, LoadFailed, import_path
from harness.trial.meter import Meter
from harness.trial.outcome import Latencies, Seen, Surroundings, Trial, void
from harness.trial.prepare import Preparation, Prepared
from harness.trial.self_check import least_served
from workloads import tenants
from workloads.load import spec as load

STANDING_BY = "standing by"
LEAD_S = 0.02
"""From the moment when all are ready to the first slice: time to tell the generators."""
PILOT_WARMUP_S, PILOT_S = 0.05, 0.2


class Bench(Protocol):
    """Whatever can make trials; the tests have one that needs no server."""

    def measure(self, spec: Spec) -> Trial:
        """Make one trial. A trial that fails is a Trial with a void verdict."""


@dataclass(frozen=True)
class _Seat:
    """What one server and its load have for themselves, where several live at the same time."""

    site: Site
    processes: ProcessGroup
    generator: Generator
    output: Path


@dataclass
class _Window:
    """What is read at both ends of a measured window."""

    readings: list[probes.Reading] = field(default_factory=list)
    processes: int = 0
    memory_mib: float = 0.0


class Laboratory(CompositeContext):
    """A context: on entering there are tenants and a generator, on leaving they are gone."""

    def __init__(
        self,
        resources: RunResources,
        plan: Plan,
        targets: Sequence[Target],
        cores: Cores,
        telemetry: Mapping[str, str] | None = None,
    ) -> None:
        """`telemetry` is for the generators, see `Generator`."""
        self._telemetry = telemetry
        self._resources = resources
        self._plan = plan
        self._targets = targets
        self._cores = cores
        self._own_cores = () if cores.shared else cores.server
        self._all_cores = sorted({*cores.server, *cores.generator})
        self._spin = interference.SpinProbe(self._own_cores)
        self._paces = Paces(plan)
        self.on_pilot: Callable[[Spec, float], None] = lambda _spec, _rate: None
        """Called after each pilot with its requests per second, while nothing is under load."""

    def _enter(self, stack: ExitStack) -> None:
        self.site = settle(
            self._resources,
            self._plan.tenants,
            self._cores,
            self._plan.page_pace,
            ["python", *(target.language for target in self._targets)],
        )
        settled = tenants.Manifest.read(self.site.sites.parent / "tenants.json")
        key = self.site.credential_key
        self._preparation = Preparation(self._plan, self._targets, settled, key)
        log = self._resources.scratch / "generator.log"
        # What exports has threads, which no fork has.
        forks = ForkServer(log.with_name("forks.log"), import_path())
        self._forks = stack.enter_context(forks) if self._telemetry is None else None
        self._seats = [
            _Seat(
                site=self.site,
                processes=self._resources.processes,
                generator=stack.enter_context(
                    Generator(
                        self._cores.generator,
                        log,
                        telemetry=self._telemetry,
                        forks=self._forks,
                    )
                ),
                output=self._resources.scratch / "trial.npy",
            )
        ]

    @property
    def generator_versions(self) -> dict[str, str]:
        """The versions of what generates the load."""
        return self._seats[0].generator.versions

    def runs_as(self, target: str) -> str:
        """Return whose identity a target's scripts have: server, owner or client."""
        return self._preparation.runs_as(target)

    def measure(self, spec: Spec) -> Trial:
        """Make one trial."""
        prepared = self._preparation.prepare(spec)
        before = self._witness()
        attempt = self._attempt(prepared, self._seats[0])
        (trial,) = judge([attempt], self._surroundings(before), BASELINE)
        return trial

    def measure_interleaved(self, specs: Sequence[Spec]) -> list[Trial]:
        """Make trials of closed loads together, each in slices of time of its own.

        The server of a target serves all its trials, one condition after the other. Where the
        baseline is one of the targets and not among the trials, it is there all the same.
        """
        conditions = [self._condition(group) for group in by_condition(specs)]
        targets = list(dict.fromkeys(one.target.name for c in conditions for one in c.prepared))
        # In this thread, as a generator ends with the one that started it.
        while len(self._seats) < len(targets):
            self._seats.append(self._another_seat(len(self._seats)))
        for seat in self._seats:
            seat.generator.wait()
        before = self._witness()
        executor = ThreadPoolExecutor(len(targets))
        try:
            jobs = [
                executor.submit(self._attempts, target, conditions, seat)
                for target, seat in zip(targets, self._seats, strict=False)
            ]
            attempts = [attempt for job in jobs for attempt in job.result()]
        finally:
            # When interrupted, they end as soon as their generators do.
            executor.shutdown(wait=False)
        surroundings = self._surroundings(before)
        judged = {
            trial.row.trial: trial
            for condition in conditions
            for trial in judge(condition.own(attempts), surroundings, BASELINE)
        }
        self._paces.learn(conditions, judged)
        return [judged[spec.trial] for spec in specs]

    def _condition(self, specs: Sequence[Spec]) -> Condition:
        prepared = [self._preparation.prepare(one) for one in (*specs, *self._companion(specs))]
        return Condition(prepared, Barrier(len(prepared)))

    def _companion(self, specs: Sequence[Spec]) -> list[Spec]:
        """Return the baseline's trial, for others to be compared with, if it is not there."""
        missing = BASELINE not in (spec.target for spec in specs)
        return [replace(specs[0], target=BASELINE)] if missing and self._has_baseline() else []

    def _has_baseline(self) -> bool:
        return BASELINE in (target.name for target in self._targets)

    def _another_seat(self, place: int) -> _Seat:
        private = self.site.private.with_name(f"private-{place}")
        private.mkdir(mode=0o711)
        log = self.site.log.with_name(f"server-{place}.log")
        own_log = self._resources.scratch / f"generator-{place}.log"
        return _Seat(
            site=replace(self.site, private=private, log=log),
            processes=self._resources.another_group(place),
            generator=self._stack.enter_context(
                Generator(
                    self._cores.generator,
                    own_log,
                    self._all_cores,
                    telemetry=self._telemetry,
                    forks=self._forks,
                )
            ),
            output=self._resources.scratch / f"trial-{place}.npy",
        )

    def _attempt(self, prepared: Prepared, seat: _Seat) -> Seen | Trial:
        """Return what was seen of a trial, or the void trial that came of it."""
        try:
            with self._server(prepared, seat) as server:
                return self._seen(prepared, server, seat)
        except (LoadFailed, ServerFailed) as error:
            return _failed(prepared, error)

    def _attempts(
        self, target: str, conditions: Sequence[Condition], seat: _Seat
    ) -> list[Seen | Trial]:
        """Return what was seen of all trials of a target, on one server, or what came of them."""
        parts = [
            (one, condition)
            for condition in conditions
            for one in condition.prepared
            if one.target.name == target
        ]
        found: list[Seen | Trial] = []
        left = 0
        try:
            with self._server(parts[0][0], seat) as server:
                earlier: tuple[Mapping[str, Any], ...] = ()
                for prepared, condition in parts:
                    seen = self._seen_interleaved(prepared, server, seat, condition, earlier)
                    found.append(seen)
                    earlier = (*seen.earlier, seen.done)
                    condition.everybody.leave()
                    left += 1
        except (LoadFailed, ServerFailed) as error:
            # What comes after has no server that could be believed.
            found += [_failed(prepared, error) for prepared, _ in parts[len(found) :]]
        finally:
            for _, condition in parts[left:]:
                condition.everybody.leave()
        return found

    def _seen(self, prepared: Prepared, server: Server, seat: _Seat) -> Seen:
        """Load a server that has the time for itself."""
        command = prepared.addressed(server.host, server.port, seat.output)
        window = _Window()
        done = _loaded(
            server, seat, command, lambda _event, _at: self._look(server, seat, window, None)
        )
        row = _row_of(prepared, server, window, least_served([done]))
        first, last = window.readings
        return Seen(prepared.spec, row, done, _rows_of(done), first, last)

    def _seen_interleaved(
        self,
        prepared: Prepared,
        server: Server,
        seat: _Seat,
        condition: Condition,
        earlier: tuple[Mapping[str, Any], ...],
    ) -> Seen:
        """Load a server in its slices: after a pilot, when all others are ready as well.

        `earlier` is what the generator said of earlier loads on the same server.
        """
        place = condition.prepared.index(prepared)
        command = prepared.addressed(server.host, server.port, seat.output)
        condition.everybody.meet()  # servers that start would be in the pilots' way
        earlier = (*earlier, *self._pilot(prepared, server, seat, condition))
        condition.everybody.meet()
        interleaving = condition.interleaving(self._plan)
        epoch = 0.0
        window = _Window()
        meter: Meter | None = None

        def on_event(event: str, _at: float) -> None:
            nonlocal epoch, meter
            if event == STANDING_BY:
                epoch = condition.everybody.meet() + LEAD_S
                seat.generator.begin(epoch)
                meter = _metered(seat, interleaving.stretches(place), epoch)
            else:
                self._look(server, seat, window, condition.everybody)

        try:
            done = _loaded(server, seat, command | {"turns": interleaving.fields(place)}, on_event)
        finally:
            metered = () if meter is None else meter.stop()
        row = _row_of(prepared, server, window, least_served([*earlier, done]))
        slices = tuple(
            replace(one, begin_s=epoch + one.begin_s)
            for one in interleaving.of(place)
            if one.begin_s >= interleaving.measured_from_s
        )
        first, last = window.readings
        rows = _rows_of(done)
        return Seen(prepared.spec, row, done, rows, first, last, slices, earlier, metered)

    def _pilot(
        self, prepared: Prepared, server: Server, seat: _Seat, condition: Condition
    ) -> Iterator[Mapping[str, Any]]:
        """Find the pace of a target, alone, unless it is known; yield what was loaded."""
        spec = prepared.spec
        known = self._paces.of(spec)
        if known is None:
            command = prepared.addressed(server.host, server.port, seat.output)
            command |= {"warmup_s": PILOT_WARMUP_S, "measure_s": PILOT_S}
            with condition.alone:
                done = _loaded(server, seat, command, lambda _event, _at: None)
                rate = _rate_of(_rows_of(done))
                self.on_pilot(spec, rate)
            known = self._paces.note(spec, rate)
            yield done
        condition.paces[spec.target] = known

    def _look(
        self, server: Server, seat: _Seat, window: _Window, everybody: Barrier | None
    ) -> None:
        """Read the probes at an end of the measured window."""
        window.readings.append(probes.read(server, seat.processes))
        if len(window.readings) < 2:
            return
        if everybody is not None:  # what follows would disturb those who still read
            everybody.meet()
        pids = probes.processes_of(server, seat.processes)
        window.processes = len(pids)
        window.memory_mib = probes.memory_mib(pids)

    def _witness(self) -> interference.Witness:
        """Look at the host while no server is there."""
        return interference.Witness(
            self._spin(), interference.look().runnable - 1
        )  # less ourselves

    def _surroundings(self, before: interference.Witness) -> Surroundings:
        return Surroundings(before, self._witness(), self._own_cores)

    def _server(self, prepared: Prepared, seat: _Seat) -> Server:
        """Return the server of a trial, not started yet."""
        target, setup = prepared.target, prepared.setup
        if ceiling.is_null(target.name):
            answers = seat.output.with_suffix(".answers.json")
            answers.write_text(ceiling.answers(prepared.load()))
            return ceiling.NullServer(target, seat.site, seat.processes, answers)
        port = free_port(setup.ports)
        arguments = ["--port", str(port), "--workers", str(self._plan.workers)]
        if not self._plan.code_cache and not target.is_peer:
            arguments.append("--no-code-cache")
        return Server(target, seat.site, seat.processes, arguments, setup.environment())

    def side_by_side(self, spec: Spec, order: Sequence[str]) -> list[crosscheck.Loaded]:
        """Load one server by our generator and by the plan's other tool, one after the other.

        Raises IsobenchError where one of them fails.
        """
        assert isinstance(spec.load, Closed)
        users = spec.load.users
        prepared = self._preparation.prepare(spec)
        if prepared.target.own_addresses:
            raise crosscheck.CrossCheckFailed(
                f"{self._plan.cross_check} asks one address, and each tenant has one of its own",
                hint="compare the targets that have one address for all tenants",
            )
        tool = crosscheck.find(str(self._plan.cross_check))
        requests = islice(load.endless(prepared.load()), crosscheck.MOST_REQUESTS)
        script = self._resources.scratch / "requests.lua"
        script.write_text(crosscheck.script([ask.request for ask in requests]))
        seat = self._seats[0]
        with self._server(prepared, seat) as server:
            address = (server.host, server.port)
            command = prepared.addressed(*address, seat.output)
            command |= {"measure_s": crosscheck.SECONDS}
            return [
                self._own(command, users)
                if who == "own"
                else crosscheck.wrk(tool, script, address, users, self._cores.generator)
                for who in order
            ]

    def _own(self, command: dict[str, Any], users: int) -> crosscheck.Loaded:
        done = self._seats[0].generator.trial(command, lambda _event, _at: None)
        rows = _rows_of(done)
        if done["errors"]:
            reason = (done["evidence"] or {}).get("reason", "requests without an answer")
            raise crosscheck.CrossCheckFailed(f"{done['errors']} wrong answers, first: {reason}")
        begin, end = done["window"]
        inside = rows[(rows[:, 0] >= begin) & (rows[:, 0] < end), 1]
        return crosscheck.own(inside, end - begin, users)


def _metered(seat: _Seat, stretches: Sequence[tuple[float, float]], epoch: float) -> Meter:
    """Return a started meter of a server's CPU time in its stretches, which count from `epoch`."""
    meter = Meter(seat.processes.cpu_s, [(epoch + begin, epoch + end) for begin, end in stretches])
    meter.start()
    return meter


def _failed(prepared: Prepared, error: LoadFailed | ServerFailed) -> Trial:
    """Return the void trial that comes of a failure."""
    if isinstance(error, ServerFailed):
        return void(prepared.row, str(error), error.evidence)
    return failed_load(prepared.row, error)


def failed_load(row: TrialRow, error: LoadFailed) -> Trial:
    """Return the void trial of a load that could not be put on."""
    evidence = json.dumps({"reason": str(error), **(error.evidence or {})})
    return void(row, str(error), evidence)


def _loaded(
    server: Server, seat: _Seat, command: dict[str, Any], on_event: Callable[[str, float], None]
) -> Mapping[str, Any]:
    """Put a load on a server. Raises LoadFailed, and ServerFailed where that is the reason."""
    try:
        return seat.generator.trial(command, on_event)
    except LoadFailed:
        server.must_be_there()  # else it is no fault of its answers
        raise


def _row_of(prepared: Prepared, server: Server, window: _Window, least: int) -> TrialRow:
    """Return the trial's row with what only the server and the window tell."""
    return replace(
        prepared.row,
        startup_s=server.startup_s,
        memory_mib=window.memory_mib,
        processes=window.processes,
        served=server.served(least),
        aborts=server.aborted(),
        env_bytes=server.env_bytes,
        hash_seed=None if ceiling.is_null(prepared.target.name) else prepared.setup.hash_seed,
        port=server.port,
        tenant_order=prepared.setup.order_seed,
    )


def _rate_of(rows: Latencies) -> float:
    """Return the requests that were answered in a second, from the first sent to the last answered.

    A count in a window would find hardly any of a target that needs as long as that for one.
    """
    if not len(rows):
        return 0.0
    completed, latency_s = rows[:, 0], rows[:, 1] / 1e6
    return float(len(rows) / (completed.max() - (completed - latency_s).min()))


def _rows_of(done: Mapping[str, Any]) -> Latencies:
    """Return what a load recorded, and remove the file."""
    file = Path(done["file"])
    rows: Latencies = np.load(file)
    file.unlink()
    return rows
