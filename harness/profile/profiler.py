"""The pass that finds out where the time of a request goes. It feeds no trial.

Strategy: of each target three servers are started, one worker each.

1. The first is a server as any other. Requests are counted against what the kernel counts: system
   calls by their names, page faults, switches.
2. The second stamps (`servers.profiling.journal`), and the tenants' scripts are copies that do so,
   too (`instrument`). One client asks for one thing after the other; beside it the kernel's view is
   taken, where it is to be had. From this come the phases.

A target is given a number of requests or a stretch of time, whichever is over first.
"""

from __future__ import annotations

import os
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from harness.errors import IsobenchError
from harness.profile import strace, tracefs
from harness.profile.ftrace import CALLS, EVERY_CALL, LIFE, Event, KernelView
from harness.profile.instrument import traced
from harness.profile.journal import JournalReader
from harness.profile.phases import Course, Passed, Profile, profile, with_kernel
from harness.profile.serial_client import Answered, SerialClient
from harness.profile.tracefs import NoTracing
from harness.target import probes, randomization
from harness.target.run_resources import RunResources
from harness.target.server import Server, Site
from harness.target.targets import Target
from workloads import catalog, tenants
from workloads.load.collector import collector_off

_LEAST_WARMUP: Final = 30
LEAST_REQUESTS: Final = 10


@dataclass(frozen=True)
class Procedure:
    """How much is asked: of each target, until one of the two is reached. Tenants take turns."""

    workload: str = "hello"
    tenants: int = 10
    requests: int = 300
    most_s: float = 4.0
    counted: int = 50
    seed: int = 0


QUICK: Final = Procedure(requests=60, most_s=1.0, counted=20)


@dataclass(frozen=True)
class Profiled:
    """What was found of one target."""

    target: Target
    course: Course
    passed: tuple[Passed, ...]
    events: tuple[Event, ...]
    profile: Profile
    counts: Counts


@dataclass(frozen=True)
class Counts:
    """What the kernel counted a request. `source` tells who counted the calls; "" if nobody did."""

    calls: dict[str, float]
    source: str
    page_faults: float
    context_switches: float
    forks: float


class Profiler:
    """A context: on entering there are tenants, on leaving they are gone."""

    def __init__(self, resources: RunResources, site: Site, procedure: Procedure) -> None:
        self._resources = resources
        self._site = site
        self._procedure = procedure
        self._manifest = tenants.Manifest.read(site.sites.parent / "tenants.json")
        self._scripts = _scripts(site, procedure.workload)

    def measure(self, target: Target, tracing: Tracing) -> Profiled:
        """Profile one target. Raises IsobenchError."""
        counts = self._count(target, tracing)
        for path, source in self._scripts.items():
            path.write_text(traced(source))
        try:
            return self._profile(target, tracing, counts)
        finally:
            for path, source in self._scripts.items():
                path.write_text(source)

    def _count(self, target: Target, tracing: Tracing) -> Counts:
        requests = self._procedure.counted
        with self._server(target) as server:
            client = self._client(target, server)
            self._warm_up(client)
            # To look costs the server something, too: what, shows where nothing else is between
            # two looks. The first one of all costs more.
            _, idle_before, before = (self._reading(server) for _ in range(3))
            idle = probes.between(idle_before, before)
            with tracing.of(self._threads(server), EVERY_CALL) as seen:
                for _ in range(requests):
                    client.ask()
            used = probes.between(before, self._reading(server))
            calls = Counter(event.detail for event in seen.events if event.name == "enter")
            source = "tracefs"
            if not calls:
                calls, source = self._counted_by_strace(server, client), "strace"
        return Counts(
            calls={name: count / requests for name, count in calls.items()},
            source=source if calls else "",
            page_faults=max(0.0, used.page_faults - idle.page_faults) / requests,
            context_switches=max(0.0, used.context_switches - idle.context_switches) / requests,
            forks=used.forks / requests,
        )

    def _counted_by_strace(self, server: Server, client: SerialClient) -> Counter[str]:
        processes = probes.processes_of(server, self._resources.processes)
        with strace.counting(processes, self._resources.scratch / "strace") as counts:
            for _ in range(self._procedure.counted):
                client.ask()
        return Counter(counts)

    def _profile(self, target: Target, tracing: Tracing, counts: Counts) -> Profiled:
        path = self._resources.scratch / f"phases-{target.mode}"
        with ExitStack() as stack:
            server = stack.enter_context(self._server(replace(target, stamps=path)))
            reader = stack.enter_context(JournalReader(path, server.layout))
            course = Course.read(server.layout)
            client = self._client(target, server)
            self._warm_up(client)
            stack.enter_context(collector_off())
            with tracing.of(self._threads(server), (*LIFE, *CALLS)) as seen:
                passed = list(self._ask(client, reader, course))
        path.unlink()
        whole = with_kernel(course, passed, seen.events) if seen.events else passed
        try:
            found = profile(course, whole)
        except ValueError as error:
            raise IsobenchError(f"{target.name}: {error}", hint=_COURSE_HINT) from error
        return Profiled(target, course, tuple(whole), tuple(seen.events), found, counts)

    def _ask(self, client: SerialClient, reader: JournalReader, course: Course) -> Iterator[Passed]:
        until = time.monotonic() + self._procedure.most_s
        for number in range(self._procedure.requests):
            if number >= LEAST_REQUESTS and time.monotonic() > until:
                return
            answer = client.ask()
            yield _passed(answer, reader.record(course.last_points, answer.began))

    def _warm_up(self, client: SerialClient) -> None:
        """Have every tenant answer twice at least, and the interpreter adapt its code."""
        for _ in range(max(_LEAST_WARMUP, 2 * self._procedure.tenants)):
            client.ask()

    def _server(self, target: Target) -> Server:
        setup = randomization.draw(self._procedure.seed, 1, target.name)
        return Server(
            target,
            self._site,
            self._resources.processes,
            ["--port", "0", "--workers", "1"],
            setup.environment(),
        )

    def _reading(self, server: Server) -> probes.Reading:
        return probes.read(server, self._resources.processes)

    def _threads(self, server: Server) -> list[int]:
        pids = probes.processes_of(server, self._resources.processes)
        return [int(task.name) for pid in pids for task in Path(f"/proc/{pid}/task").iterdir()]

    def _client(self, target: Target, server: Server) -> SerialClient:
        www = self._manifest.www
        by_client = target.by_client
        return SerialClient(
            {
                "host": server.host,
                "port": server.port,
                "workload": self._procedure.workload,
                "connection": "close",
                "tenants": [
                    {
                        "name": tenant.name,
                        **vars(tenants.script_identity(target.runs_as, www, tenant.identity)),
                        "host": target.host_of(tenant.uid),
                    }
                    for tenant in self._manifest.tenants
                ],
                "server": vars(www),
                "credential_key": str(self._site.credential_key) if by_client else None,
            }
        )


class Seen:
    """What the kernel's view has shown, once it is closed."""

    def __init__(self) -> None:
        self.events: list[Event] = []


class Tracing:
    """The kernel's view, or its absence: `why_not` says why there is none, "" where there is."""

    def __init__(self, directory: Path | None, why_not: str = "") -> None:
        self._directory = directory
        self.why_not = why_not

    @contextmanager
    def of(self, threads: Sequence[int], events: Sequence[str]) -> Iterator[Seen]:
        """Watch these threads and all that they start; what was seen is known at the end."""
        seen = Seen()
        if self._directory is None:
            yield seen
            return
        with ExitStack() as stack:
            try:
                view = stack.enter_context(KernelView(self._directory))
                view.watch(threads, events)
            except NoTracing as error:
                self._directory, self.why_not = None, str(error)
            yield seen
            if self._directory is not None:
                seen.events = self._end_of(view)

    def _end_of(self, view: KernelView) -> list[Event]:
        try:
            return view.stop()
        except NoTracing as error:
            self.why_not = str(error)
            return []


@contextmanager
def settled() -> Iterator[tuple[RunResources, Tracing]]:
    """Provide what a run owns, and the kernel's view where that is allowed."""
    try:
        mount = tracefs.attach()
    except NoTracing as error:
        with RunResources() as resources:
            yield resources, Tracing(None, str(error))
        return
    try:
        with RunResources([mount]) as resources:
            directory = tracefs.path_of(mount) / "instances" / resources.scratch.name
            resources.hand_over_instance(directory)
            yield resources, Tracing(directory)
    finally:
        os.close(mount)


def _passed(answer: Answered, points: dict[str, int]) -> Passed:
    return Passed(answer.began, answer.delivered, {**points, **answer.script})


def _scripts(site: Site, workload: str) -> dict[Path, str]:
    """Return the tenants' scripts of a workload, and what is in them."""
    paths = sorted(site.sites.glob(f"*/{catalog.find(workload).script}"))
    return {path: path.read_text() for path in paths}


_COURSE_HINT: Final = "check that the mode's timeline matches its code (docs/profiling.md)"
