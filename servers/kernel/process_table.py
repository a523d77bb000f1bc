"""The host's processes as /proc shows them: their states, their parents, their tracers."""

from __future__ import annotations

import os

from servers.kernel.reaping import kill

TYPE_CHECKING = False  # what mypy believes to be true, as that of `typing`
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Final

    Status = dict[bytes, bytes]

_MOST_CHILDREN: Final = 64


def status_of(process: int) -> Status:
    """Return the fields of /proc/PID/status, by their names (proc_pid_status(5)).

    The first line holds the process's name, which may contain anything but an unescaped line feed,
    even text that resembles another field. Raises OSError if there is no such process.
    """
    with open(f"/proc/{process}/status", "rb") as file:
        pairs = (line.partition(b":") for line in file.read().split(b"\n"))
        return {name: value.strip() for name, _, value in pairs}


def parents() -> Iterator[tuple[int, int]]:
    """Yield each process and its parent, as far as /proc shows them."""
    for name in os.listdir("/proc"):
        if not name.isdigit():
            continue
        try:
            with open(f"/proc/{name}/stat", "rb") as file:
                # proc_pid_stat(5): the name in parentheses may itself hold spaces and parentheses.
                fields = file.read().rpartition(b")")[2].split()
        except OSError:
            continue  # it has ended in the meantime
        yield int(name), int(fields[1])


def descendants(ancestor: int) -> list[int]:
    """Return the process ids of all processes below `ancestor`, as far as /proc shows them."""
    children: dict[int, list[int]] = {}
    for process, parent in parents():
        children.setdefault(parent, []).append(process)
    found: list[int] = []
    unseen = [ancestor]
    while unseen:
        below = children.get(unseen.pop(), [])
        found += below
        unseen += below
    return found


def children(process: int) -> list[int]:
    """Return the children of a process, 64 at most; none where the kernel does not tell."""
    try:
        with open(f"/proc/{process}/task/{process}/children", "rb") as file:
            return [int(child) for child in file.read().split()[:_MOST_CHILDREN]]
    except OSError:
        return []  # it has ended, or the kernel does not tell (CONFIG_PROC_CHILDREN)


def sees_our_processes() -> bool:
    """Return whether /proc shows the pids of our pid namespace rather than of an outer one."""
    return os.readlink("/proc/self") == str(os.getpid())


def free_held_back(process: int, uid: int) -> None:
    """Kill the tracer that holds back the end of a process, if the tracer runs as `uid`."""
    if not sees_our_processes():
        return
    try:
        tracer = int(status_of(process)[b"TracerPid"])
        if tracer and int(status_of(tracer)[b"Uid"].split()[1]) == uid:
            kill(tracer)
    except OSError:
        return  # one of them has ended
