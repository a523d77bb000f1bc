"""How the master checks its workers from outside, and replaces those that can no longer serve.

A script can make its worker appear healthy while it serves nobody, so the master does not rely on
what a worker reports. It reads /proc, once a second, which adds no cost to a request or to the
start of a worker.

Held back
    A tracer is notified of a process's end before the parent, and can withhold it: the parent then
    waits forever. Such a tracer is killed if it is one of the server's own processes; an operator's
    debugger is not.

Unfit
    A script can change the worker's process permanently and so keep later scripts from being
    served: by a seccomp filter, no_new_privs, lower resource limits, blocking or ignoring the
    server's signals, or another socket in the listener's place. If one of these differs from the
    first worker, the worker is replaced between two requests. So is a worker that is stopped.
    posix_spawn(3) and Python's subprocess block all signals until the program has begun, which on
    a busy host is a large part of a request: a worker that is busy each time it is checked counts
    as blocking them only after several requests in succession.
"""

from __future__ import annotations

import os

from servers.kernel.process_table import (
    children,
    descendants,
    sees_our_processes,
    status_of,
)
from servers.kernel.reaping import kill

TYPE_CHECKING = False  # what mypy believes to be true, as that of `typing`
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Final

    from servers.kernel.process_table import Status

_ENDED: Final = b"Z"
_STOPPED: Final = (b"T", b"t")
# Which are for good, or which no part of the server changes back.
_LASTING: Final = (b"NoNewPrivs", b"Seccomp", b"Seccomp_filters")

_IS_STOPPED: Final = "is stopped"
_IS_UNFIT: Final = "can no longer serve as the others do"
_BLOCKS_SIGNALS: Final = "blocks the server's signals"
# How many checks in succession have to find it, where the worker is not idle.
_CHECKS: Final = {_IS_STOPPED: 2, _IS_UNFIT: 2, _BLOCKS_SIGNALS: 6}


class Condition:
    """The state of a worker's process that persists between requests, as the kernel reports it."""

    __slots__ = ("_blocked", "_handled", "_lasting")

    def __init__(self, process: int, status: Status, listener: int) -> None:
        """Read the state. `listener` is the descriptor of the listening socket. Raises OSError."""
        self._handled = int(status[b"SigCgt"], 16)
        self._blocked = int(status[b"SigBlk"], 16)
        with open(f"/proc/{process}/limits", "rb") as file:
            limits = file.read()
        restrictions = [status.get(name) for name in _LASTING]
        self._lasting = restrictions, limits, _file_behind(process, listener)

    def fault_beside(self, first: Condition) -> str:
        """Return what keeps a worker from serving as well as one in the condition `first`, or "".

        Only the signals that the server itself handles are compared.
        """
        own = first._handled
        if self._lasting != first._lasting or self._handled & own != own:
            return _IS_UNFIT
        return "" if self._blocked & own == first._blocked & own else _BLOCKS_SIGNALS


def _file_behind(process: int, descriptor: int) -> tuple[int, int] | None:
    """Return device and inode of a process's descriptor, None where it may not be inspected."""
    try:
        state = os.stat(f"/proc/{process}/fd/{descriptor}")
    except PermissionError:
        return None
    except FileNotFoundError:
        return (0, 0)
    return state.st_dev, state.st_ino


class Oversight:
    """Checks workers, one at a time. Used in the master."""

    def __init__(self, listener: int) -> None:
        """`listener` is the descriptor of the listening socket, in each worker as here."""
        self._listener = listener
        self._first: Condition | None = None
        self._suspects: dict[int, tuple[str, object, int]] = {}
        self._sees = sees_our_processes()

    def note_first(self, process: int) -> None:
        """Record the condition of a worker that has served no request, as the reference for all."""
        if self._sees:
            self._first = Condition(process, status_of(process), self._listener)

    def finds_fault(self, process: int, progress: object, idle: bool) -> str:
        """Return why a worker must be replaced, "" if it need not be.

        `progress` changes with each request. A fault counts only if it is present between two
        requests: while a script runs, it may do to its process what it likes. So a busy worker is
        reported if several checks in succession, each in another request, find one. A stopped
        worker is reported at the second check, since whoever stopped it may continue it.
        """
        fault = self._fault(process) if self._sees else ""
        earlier, before, found = self._suspects.pop(process, ("", None, 0))
        if not fault or (idle and fault is not _IS_STOPPED):
            return fault
        if fault is not earlier:
            found = 1
        elif fault is _IS_STOPPED or before != progress:
            found += 1
        self._suspects[process] = fault, progress, found
        return fault if found >= _CHECKS[fault] else ""

    def forget(self, process: int) -> None:
        """Note that a worker has ended."""
        self._suspects.pop(process, None)

    def _fault(self, process: int) -> str:
        try:
            status = status_of(process)
            if status[b"State"][:1] in _STOPPED and not _is_debugged(status):
                return _IS_STOPPED
            if self._first is None or status[b"State"][:1] == _ENDED:
                return ""
            now = Condition(process, status, self._listener)
        except OSError:
            return ""  # it has ended
        return now.fault_beside(self._first)

    def has_strays(self, process: int) -> bool:
        """Kill tracers that hold back the end of a worker or of a process below it.

        Return whether a process below the worker waits to be reaped.
        """
        return self._sees and self._is_stray(process, depth=2)

    def _is_stray(self, process: int, depth: int) -> bool:
        try:
            status = status_of(process)
        except OSError:
            return False
        if status[b"State"][:1] == _ENDED:
            return not self._free(status)
        below = children(process) if depth else ()
        strays = [self._is_stray(child, depth - 1) for child in below]
        return any(strays)

    def free_all(self, processes: Iterable[int]) -> None:
        """Kill the tracer of each of these processes, whether the process has ended or not."""
        if self._sees:
            for process in processes:
                try:
                    self._free(status_of(process), alive=True)
                except OSError:
                    continue  # it has ended

    def _free(self, status: Status, alive: bool = False) -> bool:
        """Kill the tracer of a process that has ended, or of any; return whether there was one."""
        tracer = int(status[b"TracerPid"])
        held = tracer not in (0, int(status[b"PPid"]), os.getpid())
        if held and (alive or status[b"State"][:1] == _ENDED) and _is_ours(tracer):
            kill(tracer)
        return held


def _is_debugged(status: Status) -> bool:
    """Return whether a debugger outside of the server has stopped a process."""
    stopped_by_a_tracer = status[b"State"][:1] == b"t"
    return stopped_by_a_tracer and not _is_ours(int(status[b"TracerPid"]))


def _is_ours(process: int) -> bool:
    """Return whether a process or thread is one of the server's; 0 is outside our pid namespace."""
    if process == 0:
        return False
    if os.getpid() == 1:  # all that we can see are
        return True
    try:
        leader = int(status_of(process)[b"Tgid"])
    except OSError:
        return False
    return leader in descendants(os.getpid())
