"""What the host and a server have used, read at the start and at the end of a measured window."""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import psutil

from harness.host import interference
from harness.host.cgroup import ProcessGroup
from harness.target.server import Server, ServerUsage

_PID_MAX = Path("/proc/sys/kernel/pid_max")
# kernel/pid.c: after the highest process id, numbering goes on from here.
_RESERVED_PIDS = 300


@dataclass(frozen=True)
class Reading:
    """One look at everything. `at` is on CLOCK_MONOTONIC, `steal_s` and `total_s` are of all cores.

    `cgroup_cpu_s` is None where there is no cgroup; `host_forks` counts on the whole host.
    """

    at: float
    server: ServerUsage
    cgroup_cpu_s: float | None
    host_forks: int
    steal_s: float
    total_s: float
    host: interference.Look | None = None


def read(server: Server, processes: ProcessGroup) -> Reading:
    """Look at the server and the host, now."""
    cgroup_cpu_s = processes.cpu_s()
    host = interference.look()
    at = time.monotonic()
    usage = server.usage()
    times = psutil.cpu_times()
    return Reading(
        at=at,
        server=usage,
        cgroup_cpu_s=cgroup_cpu_s,
        host_forks=_host_forks(),
        steal_s=getattr(times, "steal", 0.0),
        total_s=sum(times),
        host=host,
    )


@dataclass(frozen=True)
class Used:
    """What was used between two readings, in total."""

    cpu_s: float
    cpu_source: str
    forks: int
    context_switches: float
    page_faults: float
    steal_share: float


def between(start: Reading, end: Reading) -> Used:
    """Return the difference of two readings."""
    if start.cgroup_cpu_s is not None and end.cgroup_cpu_s is not None:
        cpu_s, source = end.cgroup_cpu_s - start.cgroup_cpu_s, "cgroup"
    else:
        cpu_s, source = end.server.cpu_s - start.server.cpu_s, "rusage"
    total = end.total_s - start.total_s
    return Used(
        cpu_s=cpu_s,
        cpu_source=source,
        forks=_forks(start, end),
        context_switches=end.server.context_switches - start.server.context_switches,
        page_faults=end.server.page_faults - start.server.page_faults,
        steal_share=(end.steal_s - start.steal_s) / total if total else 0.0,
    )


def _forks(start: Reading, end: Reading) -> int:
    """Return how many processes and threads the server made.

    The last process id of the server's pid namespace counts them exactly, but starts again at the
    top; the whole host's count tells how often it has, and is all there is without a namespace.
    """
    on_host = end.host_forks - start.host_forks
    first, last = start.server.processes_made, end.server.processes_made
    if first is None or last is None:
        return on_host
    return forks_from_ids(first, last, on_host, int(_PID_MAX.read_text()) - _RESERVED_PIDS)


def forks_from_ids(first: int, last: int, on_host: int, turn: int) -> int:
    """Return the count nearest below `on_host` that leads from id `first` to id `last`.

    `turn` is how many ids there are before numbering starts again.
    """
    step = (last - first) % turn
    return step + max(0, on_host - step) // turn * turn


def _host_forks() -> int:
    # proc_stat(5): "processes" counts every fork, vfork and clone since boot.
    for line in Path("/proc/stat").read_text().splitlines():
        if line.startswith("processes "):
            return int(line.split()[1])
    raise ValueError("/proc/stat has no line of processes")


def memory_mib(pids: Iterable[int]) -> float:
    """Return the memory of processes in MiB, each shared page divided among its sharers (PSS)."""
    total_kib = 0
    for pid in pids:
        try:
            lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
        except OSError:
            continue  # it has just ended
        total_kib += sum(int(line.split()[1]) for line in lines if line.startswith("Pss:"))
    return total_kib / 1024


def processes_of(server: Server, processes: ProcessGroup) -> list[int]:
    """Return the processes of a server, without those that only watch it."""
    pids = processes.pids()
    if pids is None:
        pids = _descendants(server.pid)
    watchers = server.watchers() if pids else set()
    alone = [pid for pid in pids if pid not in watchers]
    return alone or pids


def _descendants(pid: int) -> list[int]:
    try:
        return [child.pid for child in psutil.Process(pid).children(recursive=True)]
    except psutil.NoSuchProcess:
        return []  # it has just ended, as whoever asks it next will notice
