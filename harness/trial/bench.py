"""Makes trials for real: starts the target, has it loaded, reads the probes, stops it.

The road of a trial: see `assess`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any, Protocol

from harness.host import interference
from harness.host.cores import Cores
from harness.plan.loads import Closed
from harness.plan.plan import Plan, Spec
from harness.results.conditions import BASELINE
from harness.target.run_resources import RunResources
from harness.target.server import Server, ServerFailed, free_port
from harness.target.sites import settle
from harness.target.targets import Target
from harness.trial import loading
from harness.trial.barrier import Barrier
from harness.trial.beside import ceiling, crosscheck
from harness.trial.composite import CompositeContext
from harness.trial.condition import Condition, Paces, by_condition
from harness.trial.generators.forked_generators import ForkServer
from harness.trial.generators.generator import Generator, LoadFailed, import_path
from harness.trial.judging.assess import cold_s, judge
from harness.trial.loading import Seat, Window, failed, loaded, row_of, rows_of
from harness.trial.meter import Meter
from harness.trial.outcome import Seen, Surroundings, Trial
from harness.trial.prepare import Preparation, Prepared
from workloads import credential, tenants
from workloads.load import spec as load

STANDING_BY = "standing by"
LEAD_S = 0.02
"""From the moment when all are ready to the first slice: time to tell the generators."""
PILOT_WARMUP_S, PILOT_S = 0.05, 0.1
WAKE_S = 10.0
"""How long the tenants beyond those that are verified are asked once, before the first load."""


class Bench(Protocol):
    """Whatever can make trials; the tests have one that needs no server."""

    def measure(self, spec: Spec) -> Trial:
        """Make one trial. A trial that fails is a Trial with a void verdict."""


class Laboratory(CompositeContext):
    """A context: on entering there are tenants and a generator, on leaving they are gone."""

    def __init__(
        self,
        resources: RunResources,
        plan: Plan,
        targets: Sequence[Target],
        cores: Cores,
        telemetry: Mapping[str, str] | None = None,
        trace: Path | None = None,
    ) -> None:
        """`telemetry` is for the generators, see `Generator`; `trace` is that of a log, if any."""
        self._telemetry = telemetry
        self._trace = trace
        self._resources = resources
        self._plan = plan
        self._targets = targets
        self._cores = cores
        self._own_cores = () if cores.shared else cores.server
        self._all_cores = sorted({*cores.server, *cores.generator})
        self._spin = interference.SpinProbe(self._own_cores)
        self._paces = Paces(plan)
        self._cold_s: dict[tuple[str, ...], float] = {}
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
        # For clients of the null responder, until a server that knows them makes its own.
        key = credential.make_key(self.site.credential_key)
        self._preparation = Preparation(self._plan, self._targets, settled, key, self._trace)
        log = self._resources.scratch / "generator.log"
        # What exports has threads, which no fork has.
        forks = ForkServer(log.with_name("forks.log"), import_path())
        self._forks = stack.enter_context(forks) if self._telemetry is None else None
        self._seats = [
            Seat(
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
            for trial in self._judged(condition, condition.own(attempts), surroundings)
        }
        self._paces.learn(conditions, judged)
        return [judged[spec.trial] for spec in specs]

    def _judged(
        self, condition: Condition, attempts: Sequence[Seen | Trial], surroundings: Surroundings
    ) -> list[Trial]:
        """Judge the trials of a condition; its first block says what is left out of all slices."""
        name = condition.name
        if name not in self._cold_s:
            self._cold_s[name] = cold_s(attempts)
        return judge(attempts, surroundings, BASELINE, self._cold_s[name])

    def _condition(self, specs: Sequence[Spec]) -> Condition:
        prepared = [self._preparation.prepare(one) for one in (*specs, *self._companion(specs))]
        return Condition(prepared, Barrier(len(prepared)))

    def _companion(self, specs: Sequence[Spec]) -> list[Spec]:
        """Return the baseline's trial, for others to be compared with, if it is not there."""
        missing = BASELINE not in (spec.target for spec in specs)
        return [replace(specs[0], target=BASELINE)] if missing and self._has_baseline() else []

    def _has_baseline(self) -> bool:
        return BASELINE in (target.name for target in self._targets)

    def _another_seat(self, place: int) -> Seat:
        private = self.site.private.with_name(f"private-{place}")
        private.mkdir(mode=0o711)
        log = self.site.log.with_name(f"server-{place}.log")
        own_log = self._resources.scratch / f"generator-{place}.log"
        return Seat(
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

    def _attempt(self, prepared: Prepared, seat: Seat) -> Seen | Trial:
        """Return what was seen of a trial, or the void trial that came of it."""
        try:
            with self._server(prepared, seat) as server:
                return self._seen(prepared, server, seat)
        except (LoadFailed, ServerFailed) as error:
            return failed(prepared, error)

    def _attempts(
        self, target: str, conditions: Sequence[Condition], seat: Seat
    ) -> list[Seen | Trial]:
        """Return what was seen of all trials of a target, or what came of them.

        One server serves them all. The null responder knows one condition only, so each trial of
        it has its own.
        """
        parts = [
            (one, condition)
            for condition in conditions
            for one in condition.prepared
            if one.target.name == target
        ]
        servings = [[part] for part in parts] if ceiling.is_null(target) else [parts]
        found: list[Seen | Trial] = []
        try:
            while servings:
                found += self._served(servings.pop(0), seat)
        finally:
            _leave([part for serving in servings for part in serving])
        return found

    def _served(
        self, parts: Sequence[tuple[Prepared, Condition]], seat: Seat
    ) -> Iterator[Seen | Trial]:
        """Yield what was seen of trials on one server, or what came of them."""
        made = 0
        try:
            with self._server(parts[0][0], seat) as server:
                earlier: tuple[Mapping[str, Any], ...] = ()
                for prepared, condition in parts:
                    seen = self._seen_interleaved(prepared, server, seat, condition, earlier)
                    yield seen
                    made += 1
                    earlier = (*seen.earlier, seen.done)
                    condition.everybody.leave()
        except (LoadFailed, ServerFailed) as error:
            # What comes after has no server that could be believed.
            yield from [failed(prepared, error) for prepared, _ in parts[made:]]
        finally:
            _leave(parts[made:])

    def _seen(self, prepared: Prepared, server: Server, seat: Seat) -> Seen:
        """Load a server that has the time for itself."""
        command = _command(prepared, server, seat)
        window = Window()
        done = loaded(server, seat, command, lambda _event, _at: window.look(server, seat))
        row = row_of(prepared, server, window, [done])
        first, last = window.readings
        return Seen(prepared.spec, row, done, rows_of(done), first, last)

    def _seen_interleaved(
        self,
        prepared: Prepared,
        server: Server,
        seat: Seat,
        condition: Condition,
        earlier: tuple[Mapping[str, Any], ...],
    ) -> Seen:
        """Load a server in its slices: after a pilot, when all others are ready as well.

        `earlier` is what the generator said of earlier loads on the same server.
        """
        place = condition.prepared.index(prepared)
        condition.everybody.meet()  # servers that start would be in the pilots' way
        earlier = (*earlier, *self._pilot(prepared, server, seat, condition, earlier))
        command = _command(prepared, server, seat, earlier)
        condition.everybody.meet()
        interleaving = condition.interleaving(self._plan)
        epoch = 0.0
        window = Window()
        meter: Meter | None = None

        def on_event(event: str, _at: float) -> None:
            nonlocal epoch, meter
            if event == STANDING_BY:
                epoch = condition.everybody.meet() + LEAD_S
                seat.generator.begin(epoch)
                meter = loading.metered(seat, interleaving.stretches(place), epoch)
            else:
                window.look(server, seat, condition.everybody)

        try:
            done = loaded(server, seat, command | {"turns": interleaving.fields(place)}, on_event)
        finally:
            metered = () if meter is None else meter.stop()
        row = row_of(prepared, server, window, [*earlier, done])
        slices = tuple(
            replace(one, begin_s=epoch + one.begin_s)
            for one in interleaving.of(place)
            if one.begin_s >= interleaving.measured_from_s
        )
        first, last = window.readings
        rows = rows_of(done)
        return Seen(prepared.spec, row, done, rows, first, last, slices, earlier, metered)

    def _pilot(
        self,
        prepared: Prepared,
        server: Server,
        seat: Seat,
        condition: Condition,
        earlier: Sequence[Mapping[str, Any]],
    ) -> Iterator[Mapping[str, Any]]:
        """Find the pace of a target, alone, unless it is known; yield what was loaded."""
        spec = prepared.spec
        known = self._paces.of(spec)
        if known is None:
            command = _command(prepared, server, seat, earlier)
            command |= {"warmup_s": PILOT_WARMUP_S, "measure_s": PILOT_S}
            with condition.alone:
                done = loaded(server, seat, command, lambda _event, _at: None)
                rate = loading.rate_of(rows_of(done))
                self.on_pilot(spec, rate)
            known = self._paces.note(spec, rate)
            yield done
        condition.paces[spec.target] = known

    def _witness(self) -> interference.Witness:
        """Look at the host while no server is there."""
        return interference.Witness(
            self._spin(), interference.look().runnable - 1
        )  # less ourselves

    def _surroundings(self, before: interference.Witness) -> Surroundings:
        return Surroundings(before, self._witness(), self._own_cores)

    def _server(self, prepared: Prepared, seat: Seat) -> Server:
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
        rows = rows_of(done)
        if done["errors"]:
            reason = (done["evidence"] or {}).get("reason", "requests without an answer")
            raise crosscheck.CrossCheckFailed(f"{done['errors']} wrong answers, first: {reason}")
        begin, end = done["window"]
        inside = rows[(rows[:, 0] >= begin) & (rows[:, 0] < end), 1]
        return crosscheck.own(inside, end - begin, users)


def _command(
    prepared: Prepared, server: Server, seat: Seat, earlier: Sequence[Mapping[str, Any]] = ()
) -> dict[str, Any]:
    """Return the generator's command; the first load on a server asks all of its tenants before.

    `earlier` is what the generator said of earlier loads on the same server.
    """
    command = prepared.addressed(server.host, server.port, seat.output)
    return command if earlier else command | {"wake_s": WAKE_S}


def _leave(parts: Sequence[tuple[Prepared, Condition]]) -> None:
    """Keep nobody waiting for these trials."""
    for _, condition in parts:
        condition.everybody.leave()
