"""The processes of a server, as the host sees them, and the part that each one plays."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from pathlib import Path

NAMESPACES_OF_A_SERVER = 1
"""Where in `NSpid` the id stands that the server's own processes know: one below the harness's."""

COMPILED_FRONT = b"front\0"
"""How the command of a worker begins that is a program of its own (servers/modes/router)."""


@dataclass(frozen=True)
class Process:
    """One process: `pid` as the harness counts, `inside` as the server does."""

    pid: int
    inside: int
    parent: int
    uid: int
    name: str
    command: bytes


@dataclass(frozen=True)
class Cast:
    """Which process plays which part in an idle server.

    `watched` says that a watcher is the first process of their pid namespace, as with products.
    """

    master: Process
    workers: tuple[Process, ...]
    helpers: tuple[Process, ...]
    watched: bool = False

    @property
    def contained(self) -> bool:
        """Whether they live in a pid namespace of their own, which ends with its first process."""
        return self.watched or self.master.inside == 1

    @classmethod
    def of_product(cls, watchers: Collection[int], pids: Iterable[int]) -> Cast | None:
        """Return the parts in a product, started by `watchers`; None where there is none.

        A product may consist of several servers, such as nginx and php-fpm: the master is the first
        of them, workers are all processes below with a server's name.
        """
        found = [one for pid in pids if pid not in watchers and (one := look(pid))]
        roots = sorted((one for one in found if one.parent in watchers), key=lambda one: one.inside)
        if not roots:
            return None
        names = {one.name for one in roots}
        below = [one for one in found if one not in roots]
        workers = [one for one in below if one.name in names]
        helpers = [one for one in below if one.name not in names]
        # A server without a worker does the work by itself.
        return cls(roots[0], tuple(workers or roots[:1]), tuple(helpers), watched=True)

    @classmethod
    def of(cls, starter: int, pids: Iterable[int]) -> Cast | None:
        """Return the parts; `starter` is the process that only waits for the server's end.

        None where that has no child.
        """
        found = [one for pid in pids if pid != starter and (one := look(pid))]
        masters = [one for one in found if one.parent == starter]
        if not masters:
            return None
        master = masters[0]
        alike = (master.name, master.command)
        workers = [
            one
            for one in found
            if one.parent == master.pid
            and ((one.name, one.command) == alike or one.command.startswith(COMPILED_FRONT))
        ]
        others = [one for one in found if one is not master and one not in workers]
        return cls(master, tuple(workers), tuple(others))


def look(pid: int) -> Process | None:
    """Return what /proc reports about a process, None if it has ended."""
    fields = status_of(pid)
    if not fields:
        return None
    try:
        command = Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return None
    ids = [int(number) for number in fields["NSpid"].split()]
    return Process(
        pid=pid,
        inside=ids[min(NAMESPACES_OF_A_SERVER, len(ids) - 1)],
        parent=int(fields["PPid"]),
        uid=int(fields["Uid"].split()[1]),
        name=fields["Name"],
        command=command,
    )


def status_of(pid: int) -> dict[str, str]:
    """Return the fields of /proc/PID/status (proc_pid_status(5)); none where it has ended."""
    try:
        text = Path(f"/proc/{pid}/status").read_bytes().decode(errors="replace")
    except OSError:
        return {}
    # The kernel escapes line feeds in a name, and nothing else that is taken for a line's end.
    lines = text.split("\n")
    pairs = (line.partition(":") for line in lines)
    return {name: value.strip() for name, _, value in pairs}


def state_of(pid: int) -> str:
    """Return the letter of a process's state, "" if it has ended or is a zombie."""
    letter = status_of(pid).get("State", "")[:1]
    return "" if letter in ("Z", "X") else letter


def open_files(pid: int) -> set[tuple[int, int]]:
    """Return device and inode of each file that a process has open."""
    found = set()
    try:
        for link in Path(f"/proc/{pid}/fd").iterdir():
            try:
                status = link.stat()
            except OSError:
                continue  # closed meanwhile
            found.add((status.st_dev, status.st_ino))
    except OSError:
        return found  # it has ended
    return found
