"""What a tenant may take of the host, imposed from outside of the server.

Two means, and a host may lack the first:

cgroup
    `cpu.max`, `memory.max` and `pids.max` of a cgroup for the noisy tenant's processes, where the
    host delegates these controllers (cgroup-v2.rst, "Delegation"); the same amounts by the files
    of version 1, where it keeps the controllers there. Processes are moved there by
    their real uid, some 20 ms after they appear, and moved back when a mode takes the uid away
    again. A mode that runs scripts with the server's identity has no process of a tenant's, so
    nothing there can be limited.
rlimits
    setrlimit(2) before the server is executed, inherited by all that it starts: address space and
    size of files of each process, processes of each uid. CPU time cannot be limited so: a worker
    that lives long would be ended for what all tenants have used.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Self

from harness.host import proc
from harness.host.cgroup import ProcessGroup
from harness.host.polling import wait_until

CGROUP: Final = "cgroup"
RLIMITS: Final = "rlimits"
NONE: Final = "none"

_MIB: Final = 1 << 20
_EVERY_S: Final = 0.02
_PATIENCE_S: Final = 5.0
_PROCS: Final = "cgroup.procs"

OF_CGROUP: Final = {
    # A fifth of a processor, in periods of 20 ms: a usual one of 100 ms would be a whole window.
    "cpu.max": "4000 20000",
    "memory.max": str(64 * _MIB),
    "pids.max": "24",
}
OF_PROCESS: Final = {
    "RLIMIT_AS": 512 * _MIB,
    # groundhog keeps a worker's former pages in a memory file of 24 MiB, which counts.
    "RLIMIT_FSIZE": 32 * _MIB,
    "RLIMIT_NPROC": 24,
}


def launcher() -> tuple[str, ...]:
    """Return the start of a command that has what follows limited by `OF_PROCESS`."""
    program = Path(__file__).with_name("rlimits.py")
    amounts = (f"{name}={amount}" for name, amount in OF_PROCESS.items())
    return (sys.executable, "-IS", str(program), *amounts, "--")


OF_VERSION_1: Final = {
    "cpu": {"cpu.cfs_period_us": "20000", "cpu.cfs_quota_us": "4000"},
    "memory": {"memory.limit_in_bytes": str(64 * _MIB)},
    "pids": {"pids.max": "24"},
}
"""What `OF_CGROUP` says, by controller, in the words of version 1."""


@dataclass(frozen=True)
class Limited:
    """Directories that a limited process is put into, and those that it is put back into."""

    inside: tuple[Path, ...]
    outside: tuple[Path, ...]
    amounts: Mapping[Path, str]

    @classmethod
    def by_version_2(cls, group: ProcessGroup, others: ProcessGroup) -> Self | None:
        """Return how a cgroup limits, None where the host does not let us."""
        path = group.path
        if path is None or others.path is None:
            return None
        amounts = {path / name: value for name, value in OF_CGROUP.items()}
        if not all(file.exists() for file in amounts):
            return None
        return cls((path,), (others.path,), amounts)

    @classmethod
    def by_version_1(cls, made: Mapping[str, Path]) -> Self:
        """Return how directories limit that were made below ours, by their controllers."""
        amounts = {
            path / name: value
            for controller, path in made.items()
            for name, value in OF_VERSION_1[controller].items()
        }
        return cls(tuple(made.values()), tuple(path.parent for path in made.values()), amounts)

    def impose(self) -> None:
        """Set the amounts. Raises OSError where the kernel refuses."""
        for file, value in self.amounts.items():
            file.write_text(value)

    def pids(self) -> list[int]:
        """Return the processes that are limited."""
        return [int(line) for line in (self.inside[0] / _PROCS).read_text().split()]

    def take(self, pid: int) -> None:
        """Limit a process from now on, unless it has just ended."""
        _put(pid, self.inside)

    def give_back(self, pid: int) -> None:
        """Limit it no longer."""
        _put(pid, self.outside)

    def kill(self) -> None:
        """End every process that is limited, and see them go."""
        wait_until(self._kill_once, _PATIENCE_S, enough=lambda left: not left, every_s=_EVERY_S)

    def _kill_once(self) -> list[int]:
        """Send SIGKILL to those who are left, and return them."""
        left = self.pids()
        for pid in left:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        return left


def _put(pid: int, directories: Iterable[Path]) -> None:
    for directory in directories:
        with suppress(OSError):  # it has just ended
            (directory / _PROCS).write_text(str(pid))


class Sorting:
    """A context: processes of a uid are limited while it lasts, and no others.

    `processes` returns the server's.
    """

    def __init__(self, uid: int, processes: Callable[[], Iterable[int]], limited: Limited) -> None:
        self._uid = uid
        self._processes = processes
        self._limited = limited
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._repeat, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()
        self._limited.kill()

    def _repeat(self) -> None:
        while not self._over.wait(_EVERY_S):
            self.sort()

    def sort(self) -> None:
        """Look at each process once."""
        for pid in self._processes():
            if _real_uid(pid) == self._uid:
                self._limited.take(pid)
        for pid in self._limited.pids():
            if _real_uid(pid) not in (self._uid, None):
                self._limited.give_back(pid)


def _real_uid(pid: int) -> int | None:
    """Return the real uid of a process (proc_pid_status(5)), None where it has ended."""
    text = proc.status_of(pid).get("Uid")
    return int(text.split()[0]) if text else None
