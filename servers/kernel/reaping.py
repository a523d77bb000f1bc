"""Waiting for children that a tenant's code may have tampered with. Imports nothing, as `context`.

A script decides more about how its process ends than one might think:

- it can make its parent its tracer (ptrace(2), PTRACE_TRACEME) and stop: the parent's wait returns,
  and nothing has ended;
- it can give its parent further children (clone(2), CLONE_PARENT), *strays* here, which nobody
  would ever wait for;
- it can have a process of its own trace it, from which its parent hears of its end only when the
  tracer has: a wait without bound, which the master's look at the workers ends (`oversight`).

So who waits for one child waits for any, and takes nothing for an end that is none. A stray costs
no call where there is none: it is met while waiting for the child.
"""

from __future__ import annotations

import os

TYPE_CHECKING = False  # what mypy believes to be true, as that of `typing`
if TYPE_CHECKING:
    from collections.abc import Callable, Container
    from typing import Final

_SIGKILL: Final = 9  # the module `signal` brings `enum`
# Not CLD_TRAPPED and the like, of what has made us its tracer.
_ENDS: Final = (os.CLD_EXITED, os.CLD_KILLED, os.CLD_DUMPED)


def has_ended(status: int) -> bool:
    """Return whether a status of wait(2) is that of a process that has ended."""
    return os.WIFEXITED(status) or os.WIFSIGNALED(status)


def exit_code(status: int) -> int:
    """Return the exit status of a process that has ended, negative for a signal's number."""
    return -os.WTERMSIG(status) if os.WIFSIGNALED(status) else os.WEXITSTATUS(status)


def await_end(process: int) -> int:
    """Wait for a child's end and return its status; reap all other children that end meanwhile.

    Raises ChildProcessError when there is no such child.
    """
    while True:
        found, status = os.waitpid(-1, 0)
        if not has_ended(status):
            kill(found)
        elif found == process:
            return status


def reap_others(watched: Container[int], on_death: Callable[[int], None]) -> None:
    """Reap all children that have ended; of those in `watched`, tell `on_death`, which reaps them.

    For who watches some of its children by pidfds, and has not looked at all of those yet. Waits
    for none.
    """
    try:
        while found := os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT):
            if found.si_pid in watched and found.si_code in _ENDS:
                on_death(found.si_pid)
                continue
            _, status = os.waitpid(found.si_pid, os.WNOHANG)
            if not has_ended(status):
                kill(found.si_pid)
    except ChildProcessError:
        return  # there is none left


def reap_ended() -> None:
    """Reap all children that have ended. Waits for none."""
    try:
        while True:
            found, status = os.waitpid(-1, os.WNOHANG)
            if not found:
                return
            if not has_ended(status):
                kill(found)
    except ChildProcessError:
        return  # there is none left


def end_leftovers() -> None:
    """End what a script has left running, where that is known; reap what has ended.

    The first process of a pid namespace adopts all others, and may kill them at once. Where there
    is none, which one wait tells, it costs nothing more.
    """
    if os.getpid() != 1:
        reap_ended()  # nobody else would, as long as this process is kept
        return
    try:
        while True:
            if not os.waitpid(-1, os.WNOHANG)[0]:  # there is one that has not ended
                kill(-1)
                os.waitpid(-1, 0)
    except ChildProcessError:
        return


def send(process: int, number: int) -> None:
    """Send a signal, if there is such a process and it may be sent."""
    try:
        os.kill(process, number)
    except (ProcessLookupError, PermissionError):
        pass


def kill(process: int) -> None:
    """Send SIGKILL, if there is such a process and it may be sent."""
    try:
        os.kill(process, _SIGKILL)
    except (ProcessLookupError, PermissionError):
        pass
