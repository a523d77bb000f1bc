"""Makes trials on a server of another host, with load generators on hosts of their own."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from harness.errors import IsobenchError
from harness.host.polling import wait_until
from harness.host.surroundings import clean_environment
from harness.plan.plan import Plan, Spec
from harness.results.rows import TrialRow
from harness.target.remote_probe import ProbeFailed, RemoteProbe, RemoteReading, Served
from harness.trial.composite import CompositeContext
from harness.trial.generators.generator import Generator, LoadFailed, import_path
from harness.trial.judging import merging
from harness.trial.loading import failed_load
from harness.trial.outcome import Trial, void
from harness.trial.prepare import Preparation, Prepared

_COUNTED_S: Final = 5.0
_NO_KEY: Final = Path("/nonexistent")


@dataclass(frozen=True)
class Hosts:
    """Who takes part: the server, the probe of its host, and where the master listens.

    `generators` is how many are to come from other hosts, `processes` how many are started here.
    """

    host: str
    port: int
    probe: RemoteProbe
    key: Path
    bind: str
    master_port: int
    generators: int
    processes: int
    patience_s: float = 60.0


class RemoteBench(CompositeContext):
    """A context: on entering the generators have come, on leaving they are sent home."""

    def __init__(
        self, hosts: Hosts, served: Served, plan: Plan, scratch: Path, version: str
    ) -> None:
        self._hosts = hosts
        self._scratch = scratch
        self._version = version
        self._preparation = Preparation(plan, [served.target], served.settled, _NO_KEY)
        self._local: list[subprocess.Popen[bytes]] = []

    def _enter(self, stack: ExitStack) -> None:
        hosts = self._hosts
        arguments = (hosts.bind, str(hosts.master_port), str(hosts.key), self._version)
        log = self._scratch / "master.log"
        self._master = stack.enter_context(
            Generator((), log, program=("workloads.load.several_hosts.master", *arguments))
        )
        port = int(self._master.wait()["port"])
        stack.callback(self._end_local)
        self._start_local(port)
        count = hosts.generators + hosts.processes
        try:
            self.generators = self._master.gather(count, hosts.patience_s)
        except LoadFailed as error:
            raise IsobenchError(str(error), hint=error.hint) from error

    @property
    def generator_versions(self) -> dict[str, str]:
        """The versions of what generates the load."""
        return self._master.versions

    def _start_local(self, port: int) -> None:
        host = "127.0.0.1" if self._hosts.bind in ("0.0.0.0", "*") else self._hosts.bind
        self._local = start_workers(
            host, port, self._hosts.key, self._version, self._hosts.processes
        )

    def _end_local(self) -> None:
        for process in self._local:
            process.kill()
            process.wait()

    def measure_interleaved(self, specs: Sequence[Spec]) -> list[Trial]:
        """Make trials of one condition; there is one target, so nothing is interleaved."""
        return [self.measure(spec) for spec in specs]

    def measure(self, spec: Spec) -> Trial:
        """Make one trial. One that fails is void."""
        prepared = self._preparation.prepare(spec)
        try:
            return self._measured(prepared)
        except LoadFailed as error:
            return failed_load(prepared.row, error)
        except ProbeFailed as error:
            return void(prepared.row, str(error), None)

    def _measured(self, prepared: Prepared) -> Trial:
        hosts = self._hosts
        command = prepared.addressed(hosts.host, hosts.port, self._scratch / "none")
        command |= {"elsewhere": True, "link": [hosts.probe.host, hosts.probe.port]}
        before = hosts.probe.reading()
        readings: list[RemoteReading] = []
        done = self._master.trial(
            command, lambda _event, _at: readings.append(hosts.probe.reading())
        )
        parts: Sequence[Mapping[str, Any]] = done["generators"]
        first, last = readings
        row = _of_server(prepared.row, hosts.port, last)
        trial = merging.merged(row, parts, first.probe, last.probe)
        return merging.checked(trial, parts, self._served(before, merging.least_served(parts)))

    def _served(self, before: RemoteReading, least: int) -> int | None:
        """Return how many requests the server has counted since, once that is enough."""
        start = before.probe.server.served
        if start is None:
            return None

        def since() -> int:
            return (self._hosts.probe.reading().probe.server.served or 0) - start

        return wait_until(since, _COUNTED_S, enough=lambda served: served >= least, every_s=0.1)


def _of_server(row: TrialRow, port: int, last: RemoteReading) -> TrialRow:
    return replace(row, port=port, memory_mib=last.memory_mib, processes=last.processes)


def start_workers(
    host: str, port: int, key: Path, version: str, count: int
) -> list[subprocess.Popen[bytes]]:
    """Start so many generators for a master, each on a processor of its own as far as there are.

    They end with this thread's process (see `workloads.load.several_hosts.worker`).
    """
    cpus = sorted(os.sched_getaffinity(0))
    environment = clean_environment({"PYTHONPATH": os.pathsep.join(import_path())})
    arguments = (host, str(port), str(key), version)
    command = [sys.executable, "-P", "-m", "workloads.load.several_hosts.worker", *arguments]
    started = []
    for number in range(count):
        process = subprocess.Popen(
            command, env=environment, stdin=subprocess.DEVNULL, start_new_session=True
        )
        os.sched_setaffinity(process.pid, {cpus[number % len(cpus)]})
        started.append(process)
    return started
