"""Makes one trial for real: starts the target, has it loaded, reads the probes, stops it."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol, Self

import numpy as np
from numpy.typing import NDArray

from harness import probes
from harness.belongings import Belongings
from harness.load import Generator, LoadFailed
from harness.matrix import Plan, Spec
from harness.results import TrialRow
from harness.server import Server, ServerFailed, Site
from harness.targets import Target, python
from workloads import tenants
from workloads.catalog import WORKLOADS
from workloads.proof import Identity

Latencies = NDArray[np.float64]


@dataclass(frozen=True)
class Trial:
    """A finished trial: its row, and a latency in microseconds for each request of the window."""

    row: TrialRow
    latencies_us: Latencies


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
        self._targets = {target.name: target for target in targets}
        self._cores = cores

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            self.site = settle(self._belongings, self._plan.tenants, self._cores)
            self._tenants = tenants.Manifest.read(self.site.sites.parent / "tenants.json")
            log = self._belongings.scratch / "generator.log"
            self._generator = stack.enter_context(Generator(self._cores.generator, log))
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
        return self._generator.versions

    def measure(self, spec: Spec) -> Trial:
        """Make one trial."""
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
            return self._measured(spec, target, row)
        except LoadFailed as error:
            evidence = json.dumps({"reason": str(error), **(error.evidence or {})})
            return _void(row, str(error), evidence)
        except ServerFailed as error:
            return _void(row, str(error).partition("\n")[0], str(error))

    def _measured(self, spec: Spec, target: Target, row: TrialRow) -> Trial:
        arguments = ["--port", "0", "--workers", str(self._plan.workers)]
        if not self._plan.code_cache:
            arguments.append("--no-code-cache")
        readings: list[probes.Reading] = []
        memory: list[float] = []
        processes: list[int] = []
        with Server(target, self.site, self._belongings.processes, arguments) as server:

            def on_event(_event: str, _at: float) -> None:
                readings.append(probes.read(server, self._belongings.processes))
                if len(readings) == 2:
                    pids = probes.processes_of(server, self._belongings.processes)
                    processes.append(len(pids))
                    memory.append(probes.memory_mib(pids))

            done = self._generator.trial(self._command(spec, target, server), on_event)
            served = server.usage().served
            startup_s = server.startup_s
        first, last = readings
        rows = np.load(done["file"])
        Path(done["file"]).unlink()
        row = replace(
            row, startup_s=startup_s, memory_mib=memory[0], processes=processes[0], served=served
        )
        return assess(row, done, rows, first, last)

    def _command(self, spec: Spec, target: Target, server: Server) -> dict[str, Any]:
        www = self._tenants.www
        return {
            "trial": spec.trial,
            "host": server.host,
            "port": server.port,
            "workload": spec.workload,
            "tenants": [
                {
                    "name": tenant.name,
                    **vars(www if target.runs_as == "server" else tenant.identity),
                }
                for tenant in self._tenants.tenants
            ],
            "server": vars(www),
            "credential_key": str(self.site.credential_key) if target.runs_as == "client" else None,
            "users": spec.load.users,
            "connection": spec.connection,
            "client": self._plan.client,
            "popularity": self._plan.popularity,
            "seed": self._plan.seed * 1000 + spec.block,
            "warmup_s": self._plan.warmup_s,
            "measure_s": self._plan.seconds,
            "output": str(self._belongings.scratch / "trial.npy"),
        }


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
    and what the server used for them belong to the same stretch of time.
    """
    row = replace(row, sent=done["sent"], errors=done["errors"])
    evidence = json.dumps(done["evidence"]) if done["evidence"] else None
    if done["errors"]:
        reason = (done["evidence"] or {}).get("reason", "requests without an answer")
        return _void(row, f"{done['errors']} wrong answers, first: {reason}", evidence)
    inside = rows[(rows[:, 0] >= first.at) & (rows[:, 0] < last.at), 1]
    if len(inside) == 0:
        return _void(row, "no request was answered in the measured window", evidence)
    used = probes.between(first, last)
    measured_s = last.at - first.at
    count = len(inside)
    p50, p90, p99 = np.percentile(inside, [50, 90, 99]) / 1000
    begin, end = done["window"]
    return Trial(
        replace(
            row,
            verdict="ok",
            measured_s=measured_s,
            requests=count,
            requests_per_second=count / measured_s,
            mean_ms=float(inside.mean()) / 1000,
            p50_ms=float(p50),
            p90_ms=float(p90),
            p99_ms=float(p99),
            max_ms=float(inside.max()) / 1000,
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


def _void(row: TrialRow, reason: str, evidence: str | None) -> Trial:
    one_line = " ".join(reason.split())
    return Trial(
        replace(row, verdict=f"void: {one_line}", first_error=evidence or reason), np.empty(0)
    )


def interpreter() -> dict[str, str]:
    """Return which interpreter serves and runs the scripts, for the record."""
    return {"path": str(python()), "version": sys.version.split()[0], "flags": "-IS"}
