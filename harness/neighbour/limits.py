"""What a tenant may take of the host, imposed from outside of the server.

Two means, and a host may lack the first:

cgroup
    `cpu.max`, `memory.max` and `pids.max` of a cgroup for the noisy tenant's processes, where the
    host delegates these controllers (cgroup-v2.rst, "Delegation"). Processes are moved there by
    their real uid, some 20 ms after they appear, and moved back when a mode takes the uid away
    again. A mode that runs scripts with the server's identity has no process of a tenant's, so
    nothing there can be limited.
rlimits
    setrlimit(2) before the server is executed, inherited by all that it starts: address space and
    size of files of each process, processes of each uid. CPU time cannot be limited so: a worker
    that lives long would be ended for what all tenants have used.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path
from typing import Final, Self

from harness.host import proc
from harness.host.cgroup import ProcessGroup

CGROUP: Final = "cgroup"
RLIMITS: Final = "rlimits"
NONE: Final = "none"

_MIB: Final = 1 << 20
_EVERY_S: Final = 0.02

OF_CGROUP: Final = {
    # A fifth of a processor, in periods of 20 ms: a usual one of 100 ms would be a whole window.
    "cpu.max": "4000 20000",
    "memory.max": str(64 * _MIB),
    "pids.max": "24",
}
OF_PROCESS: Final = {
    "RLIMIT_AS": 512 * _MIB,
    "RLIMIT_FSIZE": 8 * _MIB,
    "RLIMIT_NPROC": 24,
}


def launcher() -> tuple[str, ...]:
    """Return the start of a command that has what follows limited by `OF_PROCESS`."""
    program = Path(__file__).with_name("rlimits.py")
    amounts = (f"{name}={amount}" for name, amount in OF_PROCESS.items())
    return (sys.executable, "-IS", str(program), *amounts, "--")


def delegated(group: ProcessGroup) -> bool:
    """Return whether the host lets us limit a cgroup."""
    path = group.path
    return path is not None and all((path / name).exists() for name in OF_CGROUP)


def impose(group: ProcessGroup) -> None:
    """Limit a cgroup. Raises OSError where the kernel refuses."""
    assert group.path is not None
    for name, value in OF_CGROUP.items():
        (group.path / name).write_text(value)


class Sorting:
    """A context: processes of a uid are moved into a cgroup while it lasts, others out of it.

    `processes` returns the server's; `others` and `own` are cgroups.
    """

    def __init__(
        self,
        uid: int,
        processes: Callable[[], Iterable[int]],
        own: ProcessGroup,
        others: ProcessGroup,
    ) -> None:
        self._uid = uid
        self._processes = processes
        self._own, self._others = own, others
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._repeat, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()
        self._own.kill()

    def _repeat(self) -> None:
        while not self._over.wait(_EVERY_S):
            self.sort()

    def sort(self) -> None:
        """Look at each process once."""
        for pid in self._processes():
            if _real_uid(pid) == self._uid:
                _move(pid, self._own)
        for pid in self._own.pids() or ():
            if _real_uid(pid) not in (self._uid, None):
                _move(pid, self._others)


def _real_uid(pid: int) -> int | None:
    """Return the real uid of a process (proc_pid_status(5)), None where it has ended."""
    text = proc.status_of(pid).get("Uid")
    return int(text.split()[0]) if text else None


def _move(pid: int, group: ProcessGroup) -> None:
    assert group.path is not None
    with suppress(OSError):  # it has just ended
        (group.path / "cgroup.procs").write_text(str(pid))
