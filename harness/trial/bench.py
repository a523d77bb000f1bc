"""Makes one trial for real: starts the target, has it loaded, reads the probes, stops it."""

from __future__ import annotations

import json
import math
import os
import sys
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol, Self

import numpy as np
from numpy.typing import NDArray

from harness.host import interference
from harness.host.cgroup import ProcessGroup
from harness.plan.plan import Closed, Load, Open, Plan, Spec
from harness.results.rows import TrialRow
from harness.stats import self_checks, steady_state
from harness.target import probes, randomization
from harness.target.run_resources import Belongings
from harness.target.server import Server, ServerFailed, Site, free_port
from harness.target.targets import Target, python
from harness.trial import ceiling, crosscheck
from harness.trial.barrier import Rendezvous
from harness.trial.generator import Generator, LoadFailed
from workloads import tenants
from workloads.catalog import WORKLOADS
from workloads.load import schedule
from workloads.load import spec as load
from workloads.load.timetable import GAP
from workloads.proof import Identity

Latencies = NDArray[np.float64]

STANDING_BY = "standing by"
UNANSWERED = "no request was answered in the measured window"
LEAD_S = 0.02
"""From the moment when all are ready to the first slice: time to tell the generators."""

NOWHERE = ("127.0.0.1", 1)
"""Stands in for the address of a server that is not started yet."""


@dataclass(frozen=True)
class Trial:
    """A finished trial: its row, and a latency in microseconds for each request of the window.

    `latencies_us` count from the actual sending; `response_us`, of an open load, from the intended.
    """

    row: TrialRow
    latencies_us: Latencies
    response_us: Latencies = field(default_factory=lambda: np.empty(0))


class Bench(Protocol):
    """Whatever can make trials; the tests have one that needs no server."""

    def measure(self, spec: Spec) -> Trial:
        """Make one trial. A trial that fails is a Trial with a void verdict."""


@dataclass(frozen=True)
class Cores:
    """Which processors serve and which load; `shared` when there is only one for both."""

    server: tuple[int, ...]
    generator: tuple[int, ...]

    @property
    def shared(self) -> bool:
        """Whether server and generator compete for a processor."""
        return bool(set(self.server) & set(self.generator))


@dataclass(frozen=True)
class _Seat:
    """What one server and its load have for themselves, where several live at the same time."""

    site: Site
    processes: ProcessGroup
    generator: Generator
    output: Path


@dataclass(frozen=True)
class _Turns:
    """A trial's share of a timetable (`workloads.load.timetable`), and those it shares it with."""

    fields: dict[str, Any]
    everybody: Rendezvous


@dataclass(frozen=True)
class _Seen:
    """What was seen of a trial, not judged yet."""

    spec: Spec
    row: TrialRow
    done: dict[str, Any]
    rows: Latencies
    first: probes.Reading
    last: probes.Reading
    in_turns: bool


def divide(cpus: Sequence[int], siblings: Mapping[int, frozenset[int]]) -> Cores:
    """Give one processor to the server and one to the generator.

    `siblings` maps a processor to all that share its core: those compete as if they were one, so
    the generator gets one of another core where there is one. Pure.
    """
    server = cpus[-1]
    apart = [cpu for cpu in cpus if cpu not in siblings.get(server, {server})]
    other = apart or [cpu for cpu in cpus if cpu != server] or [server]
    return Cores((server,), (other[0],))


class Laboratory:
    """A context: on entering there are tenants and a generator, on leaving they are gone."""

    def __init__(
        self, belongings: Belongings, plan: Plan, targets: Sequence[Target], cores: Cores
    ) -> None:
        self._belongings = belongings
        self._plan = plan
        nulls = [ceiling.null_target(name) for name in ceiling.nulls(t.runs_as for t in targets)]
        self._targets = {target.name: target for target in (*targets, *nulls)}
        self._cores = cores
        self._spin = interference.SpinProbe(() if cores.shared else cores.server)

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            self.site = settle(self._belongings, self._plan.tenants, self._cores)
            self._tenants = tenants.Manifest.read(self.site.sites.parent / "tenants.json")
            log = self._belongings.scratch / "generator.log"
            self._seats = [
                _Seat(
                    site=self.site,
                    processes=self._belongings.processes,
                    generator=stack.enter_context(Generator(self._cores.generator, log)),
                    output=self._belongings.scratch / "trial.npy",
                )
            ]
            self._stack = stack.pop_all()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stack.__exit__(kind, error, trace)

    @property
    def generator_versions(self) -> dict[str, str]:
        """The versions of what generates the load."""
        return self._seats[0].generator.versions

    def runs_as(self, target: str) -> str:
        """Return whose identity a target's scripts have: server, owner or client."""
        return self._targets[target].runs_as

    def measure(self, spec: Spec) -> Trial:
        """Make one trial."""
        before = self._witness()
        attempt = self._attempt(spec, self._seats[0])
        (trial,) = self._judged([attempt], before, self._witness())
        return trial

    def measure_in_turns(self, specs: Sequence[Spec]) -> list[Trial]:
        """Make trials of closed loads together, each in its own slices of one timetable."""
        # In this thread, as a generator ends with the one that started it.
        while len(self._seats) < len(specs):
            self._seats.append(self._another_seat(len(self._seats)))
        everybody = Rendezvous(len(specs))

        def attempt(place: int) -> _Seen | Trial:
            turns = _Turns(self._plan.turns(specs[0].block, len(specs), place), everybody)
            try:
                return self._attempt(specs[place], self._seats[place], turns)
            finally:
                everybody.leave()

        before = self._witness()
        executor = ThreadPoolExecutor(len(specs))
        try:
            attempts = list(executor.map(attempt, range(len(specs))))
        finally:
            # When interrupted, they end as soon as their generators do.
            executor.shutdown(wait=False)
        return self._judged(attempts, before, self._witness())

    def _another_seat(self, place: int) -> _Seat:
        private = self.site.private.with_name(f"private-{place}")
        private.mkdir(mode=0o711)
        log = self.site.log.with_name(f"server-{place}.log")
        own_log = self._belongings.scratch / f"generator-{place}.log"
        return _Seat(
            site=replace(self.site, private=private, log=log),
            processes=self._belongings.another_group(place),
            generator=self._stack.enter_context(Generator(self._cores.generator, own_log)),
            output=self._belongings.scratch / f"trial-{place}.npy",
        )

    def _attempt(self, spec: Spec, seat: _Seat, turns: _Turns | None = None) -> _Seen | Trial:
        """Return what was seen of a trial, or the void trial that came of it."""
        target = self._targets[spec.target]
        row = TrialRow(
            trial=spec.trial,
            block=spec.block,
            position=spec.position,
            target=spec.target,
            kind=target.kind,
            runs_as=target.runs_as,
            workload=spec.workload,
            load=str(spec.load),
            connection=spec.connection,
            tenants=self._plan.tenants,
            popularity=self._plan.popularity,
            started_at=datetime.now(UTC).isoformat(timespec="milliseconds"),
            verdict="void: not made",
        )
        try:
            return self._seen(spec, target, row, seat, turns)
        except LoadFailed as error:
            evidence = json.dumps({"reason": str(error), **(error.evidence or {})})
            return _void(row, str(error), evidence)
        except ServerFailed as error:
            return _void(row, str(error), error.evidence)

    def _seen(
        self, spec: Spec, target: Target, row: TrialRow, seat: _Seat, turns: _Turns | None
    ) -> _Seen:
        setup = randomization.draw(self._plan.seed, spec.block, spec.trial)
        readings: list[probes.Reading] = []
        memory: list[float] = []
        processes: list[int] = []
        with self._server(spec, target, setup, seat) as server:

            def on_event(event: str, _at: float) -> None:
                if turns is not None and event == STANDING_BY:
                    seat.generator.begin(turns.everybody.meet() + LEAD_S)
                    return
                readings.append(probes.read(server, seat.processes))
                if len(readings) == 2:
                    if turns is not None:  # what follows would disturb those who still read
                        turns.everybody.meet()
                    pids = probes.processes_of(server, seat.processes)
                    processes.append(len(pids))
                    memory.append(probes.memory_mib(pids))

            command = self._command(spec, target, (server.host, server.port))
            command |= {"tenants": setup.order(command["tenants"]), "output": str(seat.output)}
            if turns is not None:
                command["turns"] = turns.fields
            try:
                done = seat.generator.trial(command, on_event)
            except LoadFailed:
                server.must_be_there()  # else it is no fault of its answers
                raise
            asked_first = done["asked_first"]
            served = server.served(self_checks.least_served(asked_first, done["requests_total"]))
        rows = np.load(done["file"])
        Path(done["file"]).unlink()
        row = replace(
            row,
            startup_s=server.startup_s,
            memory_mib=memory[0],
            processes=processes[0],
            served=served,
            env_bytes=server.env_bytes,
            hash_seed=None if ceiling.is_null(target.name) else setup.hash_seed,
            port=server.port,
            tenant_order=setup.order_seed,
        )
        return _Seen(spec, row, done, rows, readings[0], readings[1], in_turns=turns is not None)

    def _judged(
        self,
        attempts: Sequence[_Seen | Trial],
        before: interference.Witness,
        after: interference.Witness,
    ) -> list[Trial]:
        """Return the trials of servers that lived at the same time."""
        seen = [one for one in attempts if isinstance(one, _Seen)]
        own_cpu_s = sum(probes.between(one.first, one.last).cpu_s for one in seen)

        def judged(one: _Seen | Trial) -> Trial:
            if isinstance(one, Trial):
                return one
            noise = self._noise(one.first, one.last, own_cpu_s)
            return witnessed(self._assessed(one), noise, before, after, alike=one.in_turns)

        return [judged(one) for one in attempts]

    def _assessed(self, seen: _Seen) -> Trial:
        first, last = seen.first, seen.last
        if seen.in_turns:
            begin, end = seen.done["window"]
            first, last = replace(first, at=begin), replace(last, at=end)
        trial = assess(seen.row, seen.done, seen.rows, first, last)
        if seen.in_turns:
            trial = short_enough(seen.row, trial, self._plan)
        return checked(seen.row, trial, seen.done, seen.spec.load)

    def _witness(self) -> interference.Witness:
        """Look at the host while no server is there."""
        return interference.Witness(
            self._spin(), interference.look().runnable - 1
        )  # less ourselves

    def _noise(
        self, first: probes.Reading, last: probes.Reading, own_cpu_s: float
    ) -> interference.Noise:
        """Return what disturbed the measured window, as far as the host tells.

        `own_cpu_s` is what all servers that lived then have used.
        """
        if first.host is None or last.host is None:
            return interference.Noise()
        own_cores = () if self._cores.shared else self._cores.server
        used = probes.between(first, last)
        return interference.during(
            first.host, last.host, own_cores, last.at - first.at, own_cpu_s, used.steal_share
        )

    def _server(
        self, spec: Spec, target: Target, setup: randomization.Setup, seat: _Seat
    ) -> Server:
        """Return the server of a trial, not started yet."""
        if ceiling.is_null(target.name):
            answers = self._belongings.scratch / "answers.json"
            answers.write_text(ceiling.answers(self._load_of(spec, target)))
            return ceiling.NullServer(target, seat.site, seat.processes, answers)
        port = free_port(setup.ports)
        arguments = ["--port", str(port), "--workers", str(self._plan.workers)]
        if not self._plan.code_cache:
            arguments.append("--no-code-cache")
        return Server(target, seat.site, seat.processes, arguments, setup.environment())

    def _load_of(self, spec: Spec, target: Target) -> load.Load:
        """Return what the generator will ask for; whom, it is not told here."""
        return load.read(self._command(spec, target, NOWHERE) | {"credential_key": None})

    def side_by_side(self, spec: Spec, order: Sequence[str]) -> list[crosscheck.Loaded]:
        """Load one server by our generator and by the plan's other tool, in turn.

        Raises IsobenchError where one of them fails.
        """
        assert isinstance(spec.load, Closed)
        users = spec.load.users
        target = self._targets[spec.target]
        tool = crosscheck.find(str(self._plan.cross_check))
        requests = islice(load.endless(self._load_of(spec, target)), crosscheck.MOST_REQUESTS)
        script = self._belongings.scratch / "requests.lua"
        script.write_text(crosscheck.script([ask.request for ask in requests]))
        setup = randomization.draw(self._plan.seed, spec.block, spec.trial)
        with self._server(spec, target, setup, self._seats[0]) as server:
            address = (server.host, server.port)
            command = self._command(spec, target, address) | {"measure_s": crosscheck.SECONDS}
            return [
                self._own(command, users)
                if who == "own"
                else crosscheck.wrk(tool, script, address, users, self._cores.generator)
                for who in order
            ]

    def _own(self, command: dict[str, Any], users: int) -> crosscheck.Loaded:
        done = self._seats[0].generator.trial(command, lambda _event, _at: None)
        rows = np.load(done["file"])
        Path(done["file"]).unlink()
        if done["errors"]:
            reason = (done["evidence"] or {}).get("reason", "requests without an answer")
            raise crosscheck.CrossCheckFailed(f"{done['errors']} wrong answers, first: {reason}")
        begin, end = done["window"]
        inside = rows[(rows[:, 0] >= begin) & (rows[:, 0] < end), 1]
        return crosscheck.own(inside, end - begin, users)

    def _asked(self, target: Target) -> Sequence[tenants.Tenant]:
        everybody = self._tenants.tenants
        return everybody[: ceiling.MOST_TENANTS] if ceiling.is_null(target.name) else everybody

    def _command(self, spec: Spec, target: Target, address: tuple[str, int]) -> dict[str, Any]:
        www = self._tenants.www
        host, port = address
        warmup_s, seconds = self._plan.times(spec)
        return {
            "trial": spec.trial,
            "host": host,
            "port": port,
            "workload": spec.workload,
            "tenants": [
                {
                    "name": tenant.name,
                    **vars(tenants.script_identity(target.runs_as, www, tenant.identity)),
                }
                for tenant in self._asked(target)
            ],
            "server": vars(www),
            "credential_key": str(self.site.credential_key) if target.by_client else None,
            **self._load(spec),
            "connection": spec.connection,
            "client": self._plan.client,
            "popularity": self._plan.popularity,
            "seed": self._plan.seed * 1000 + spec.block,
            "warmup_s": warmup_s,
            "measure_s": seconds,
            "output": str(self._seats[0].output),
        }

    def _load(self, spec: Spec) -> dict[str, Any]:
        if isinstance(spec.load, Open):
            users = self._plan.bound(spec.connection)
            return {"users": users, "rate": spec.load.rate, "schedule": spec.load.schedule}
        return {"users": spec.load.users}


def settle(belongings: Belongings, count: int, cores: Cores | None) -> Site:
    """Create tenants in the run's scratch directory and return where servers find them."""
    private = belongings.scratch / "private"
    private.mkdir(mode=0o711)
    privileged = os.geteuid() == 0
    if privileged:
        base = tenants.free_uid_base(count)
        www, first = Identity(base, base, ()), base + 1
    else:
        groups = tuple(sorted(os.getgroups()))
        www, first = Identity(os.geteuid(), os.getegid(), groups), os.geteuid()
    sites = belongings.scratch / "sites"
    tenants.create(
        sites,
        count=count,
        www=www,
        first_uid=first,
        interpreter=f"{python()} -IS",
        workloads=WORKLOADS.values(),
        own=privileged,
    )
    return Site(
        sites=sites,
        private=private,
        www_uid=www.uid,
        www_gid=www.gid,
        privileged=privileged,
        log=belongings.scratch / "server.log",
        cpus=cores.server if cores else (),
    )


def assess(
    row: TrialRow,
    done: Mapping[str, Any],
    rows: Latencies,
    first: probes.Reading,
    last: probes.Reading,
) -> Trial:
    """Turn what was seen in a trial into its row. Pure.

    `rows` has a line a request: when it was complete, in seconds on CLOCK_MONOTONIC, and its
    latency in microseconds. Counted are those complete between the two readings, so that requests
    and what the server used for them belong to the same stretch of time. The rate ends with the
    load, however late the last reading comes. Where the trial settled only later, rate and times
    are of the steady rest; what a request costs is still of the whole.
    Rows of an open load have a third number (see `workloads.load.schedule.account`).
    """
    row = replace(
        row,
        sent=done["sent"],
        errors=done["errors"],
        answered=done.get("requests_total"),
        verified=done.get("verified"),
    )
    evidence = json.dumps(done["evidence"]) if done["evidence"] else None
    if done["errors"]:
        reason = (done["evidence"] or {}).get("reason", "requests without an answer")
        return _void(row, f"{done['errors']} wrong answers, first: {reason}", evidence)
    answered = rows[~np.isnan(rows[:, 1])]
    begin, end = done["window"]
    closes = min(last.at, end)
    whole = answered[(answered[:, 0] >= first.at) & (answered[:, 0] < last.at)]
    if not (whole[:, 0] < closes).any():
        return _void(row, UNANSWERED, evidence)
    settled = _settled(answered, first.at, closes)
    inside = whole[(whole[:, 0] >= settled.at) & (whole[:, 0] < closes), 1]
    used = probes.between(first, last)
    measured_s = closes - settled.at
    count = len(whole)
    trial = Trial(
        replace(
            row,
            verdict="ok",
            measured_s=measured_s,
            requests=len(inside),
            requests_per_second=len(inside) / measured_s,
            steady=str(settled.settling.steadiness),
            steady_from_s=settled.settling.from_s,
            discarded_s=settled.at - first.at,
            **_times_ms(inside),
            server_cpu_us_per_request=used.cpu_s / count * 1e6,
            server_cpu_source=used.cpu_source,
            forks_per_request=used.forks / count,
            context_switches_per_request=used.context_switches / count,
            page_faults_per_request=used.page_faults / count,
            generator_cpu_share=done["generator_cpu_s"] / (end - begin),
            steal_share=used.steal_share,
        ),
        inside,
    )
    if rows.shape[1] == 2:
        return trial
    # Of the whole window, settled or not: a stall in it looks like a start that has to be cut off.
    account = schedule.account(rows, begin, end)
    if not len(account.response_us):
        return _void(row, "no request was to be sent in the measured window", evidence)
    if not account.completed:
        return _void(row, UNANSWERED, evidence)
    return _from_intended(trial, account, end - begin)


@dataclass(frozen=True)
class _Settled:
    """Whether a trial settled, and from when on its requests count, on CLOCK_MONOTONIC."""

    settling: steady_state.Settling
    at: float


def _settled(answered: Latencies, begin: float, end: float) -> _Settled:
    """Find the steady part of a window. The load began when its first request was sent."""
    began = float((answered[:, 0] - answered[:, 1] / 1e6).min())
    settling = steady_state.judge(answered[:, 0], began, end)
    at = max(begin, began + settling.from_s) if settling.from_s else begin
    if not ((answered[:, 0] >= at) & (answered[:, 0] < end)).any():  # it settled on silence
        return _Settled(steady_state.Settling(steady_state.Steadiness.NONE), begin)
    return _Settled(settling, at)


def checked(bare: TrialRow, trial: Trial, done: Mapping[str, Any], load: Load) -> Trial:
    """Return a trial with the result of its self-checks; void, where its counts contradict. Pure.

    `bare` is its row without numbers, `done` what the generator says. A trial that is void already
    is not looked at.
    """
    row = trial.row
    if row.verdict != "ok" or row.served is None:
        return trial
    counts = self_checks.Counts(
        served=row.served,
        asked_first=done["asked_first"],
        answered=done["requests_total"],
        sent=done["sent"],
        sent_again=done["retries"],
        verified=done["verified"],
    )
    if wrong := "; ".join(self_checks.miscounts(counts)):
        bare = replace(
            bare,
            sent=row.sent,
            errors=row.errors,
            answered=row.answered,
            verified=row.verified,
            self_checks=wrong,
        )
        return _void(bare, f"a self-check failed: {wrong}", None)
    failed = self_checks.little(_closed(row, done, load.users)) if isinstance(load, Closed) else ""
    return replace(trial, row=replace(row, self_checks=failed or self_checks.PASSED))


def _closed(row: TrialRow, done: Mapping[str, Any], users: int) -> self_checks.Closed:
    assert row.requests_per_second is not None
    assert row.mean_ms is not None
    assert row.max_ms is not None
    assert row.measured_s is not None
    return self_checks.Closed(
        users=users,
        per_second=row.requests_per_second,
        mean_latency_s=row.mean_ms / 1000,
        longest_s=row.max_ms / 1000,
        client_s=(done["generator_cpu_s"] + done["generator_waited_s"]) / max(1, done["requests"]),
        window_s=row.measured_s,
    )


def short_enough(bare: TrialRow, trial: Trial, plan: Plan) -> Trial:
    """Return a trial in turns; void, where its requests outlast the slices. Pure.

    What is still on its way when the next slice begins is served in the time of another.
    """
    assert plan.slice_s is not None
    longest_ms = plan.slice_s * GAP * 1000
    if trial.row.p50_ms is None or trial.row.p50_ms <= longest_ms:
        return trial
    return _void(
        bare,
        f"half of the requests took {trial.row.p50_ms:.3g} ms or more, too long for slices of "
        f"{plan.slice_s * 1000:.3g} ms: make them {10 * math.ceil(trial.row.p50_ms)} ms or longer",
        None,
    )


def witnessed(
    trial: Trial,
    noise: interference.Noise,
    before: interference.Witness,
    after: interference.Witness,
    *,
    alike: bool = False,
) -> Trial:
    """Return a trial with what is known of its disturbances. Pure.

    `alike` says that a slow core slowed all that the trial is compared with in the same way. A
    trial is void for what it shows, whatever disturbed it; only one that shows nothing may be so
    because the server had no processor.
    """
    noise = replace(noise, spin_before=before.spin, spin_after=after.spin)
    row = replace(
        trial.row,
        foreign_cpu_share=noise.foreign_cpu_share,
        pressure_share=noise.pressure_share,
        spin_before=before.spin,
        spin_after=after.spin,
        runnable_before=before.runnable,
        runnable_after=after.runnable,
    )
    signs = "; ".join(interference.disturbances(noise, slow_core=not alike))
    if row.verdict == "ok":
        row = replace(row, disturbed=signs)
    elif signs and row.verdict == f"void: {UNANSWERED}":
        row = replace(row, disturbed=signs, verdict=f"{row.verdict}, while {signs}")
    return replace(trial, row=row)


def _from_intended(trial: Trial, account: schedule.Account, seconds: float) -> Trial:
    """Return an open load's trial with times that count from when requests were to be sent.

    Its requests are those that were to be sent within the generator's own window, so many seconds
    long: it alone knows of the ones that never were. The rate is of those completed meanwhile.
    """
    row = replace(
        trial.row,
        measured_s=seconds,
        discarded_s=0.0,
        requests=len(account.service_us),
        requests_per_second=account.completed / seconds,
        offered_per_second=len(account.response_us) / seconds,
        late=account.late,
        late_worst_ms=account.late_worst_ms,
        dropped=account.dropped,
        **_times_ms(account.response_us),
    )
    return Trial(row, account.service_us, account.response_us)


def _times_ms(latencies_us: Latencies) -> dict[str, Any]:
    p50, p90, p99 = np.percentile(latencies_us, [50, 90, 99]) / 1000
    return {
        "mean_ms": float(latencies_us.mean()) / 1000,
        "p50_ms": float(p50),
        "p90_ms": float(p90),
        "p99_ms": float(p99),
        "max_ms": float(latencies_us.max()) / 1000,
    }


def _void(row: TrialRow, reason: str, evidence: str | None) -> Trial:
    one_line = " ".join(reason.split())
    return Trial(
        replace(row, verdict=f"void: {one_line}", first_error=evidence or reason), np.empty(0)
    )


def interpreter() -> dict[str, str]:
    """Return which interpreter serves and runs the scripts, for the record."""
    return {"path": str(python()), "version": sys.version.split()[0], "flags": "-IS"}
