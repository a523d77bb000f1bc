"""The processes of a scene's server, as the host's root sees them from outside."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from harness.host import proc
from harness.host.cgroup import ProcessGroup
from harness.host.polling import wait_until
from harness.host.proc import Cast
from harness.target import probes
from harness.target.server import Server

_DYING_S: Final = 0.4


class ObservedProcesses:
    """The server's processes: which part each plays, its state, files, mappings and namespaces.

    `pids_at_work` are those in which a script of the neighbour's is at work, by their parts.
    """

    def __init__(self, server: Server, group: ProcessGroup, cast: Cast) -> None:
        self._server = server
        self._group = group
        self.cast = cast
        self.pids_at_work: dict[str, int] = {}

    def pid_of(self, role: str) -> int:
        """Return a process, as the host counts, 0 where nobody plays that part."""
        if role in self.pids_at_work:
            return self.pids_at_work[role]
        found = self.roles().get(role)
        return found.pid if found else 0

    def state_of(self, role: str) -> str:
        """Return the state letter of a process, "" where it has ended."""
        return proc.state_of(self.pid_of(role))

    def has_ended(self, role: str) -> bool:
        """Return whether a process is dead, or is within half a second."""
        return wait_until(lambda: not self.state_of(role), _DYING_S)

    def tracer_of(self, role: str) -> int:
        """Return by which process another is traced; 0: by none."""
        return int(proc.status_of(self.pid_of(role)).get("TracerPid", "0"))

    def status_of(self, pid: int) -> dict[str, str]:
        """Return the fields of a process's status."""
        return proc.status_of(pid)

    def descriptors(self, pid: int) -> int:
        """Return how many descriptors a process has."""
        try:
            return len(list(Path(f"/proc/{pid}/fd").iterdir()))
        except OSError:
            return 0  # it has ended

    def has_socket(self, role: str) -> bool:
        """Return whether a process has a socket among its descriptors."""
        try:
            links = list(Path(f"/proc/{self.pid_of(role)}/fd").iterdir())
        except OSError:
            return False  # it has ended
        return any(link.is_socket() for link in links)

    def maps(self, pid: int) -> str:
        """Return what is mapped into a process."""
        try:
            return Path(f"/proc/{pid}/maps").read_text()
        except OSError:
            return ""  # it has ended

    def processes(self) -> dict[int, int]:
        """Return the uids of the server's processes by their ids."""
        pids = probes.processes_of(self._server, self._group)
        found = (proc.look(pid) for pid in pids)
        return {one.pid: one.uid for one in found if one}

    def roles(self) -> dict[str, proc.Process]:
        """Return the processes that play a part now, by their parts."""
        roles = {"master": self.cast.master, "worker": self.cast.workers[0]}
        if self.cast.helpers:
            roles["helper"] = self.cast.helpers[0]
        for role, pid in self.pids_at_work.items():
            if found := proc.look(pid):
                roles[role] = found
        return roles

    def sees(self) -> bool:
        """Return whether one may look at a worker's open files (ptrace(2), access mode checks)."""
        try:
            Path(f"/proc/{self.cast.workers[0].pid}/fd/0").stat()
        except PermissionError:
            return False
        except OSError:
            return True  # it has none, or has ended, which shows later on
        return True

    def user_namespaces_now(self) -> Iterator[str]:
        """Yield the user namespace of each of the server's processes."""
        for one in (self.cast.master, *self.cast.workers, *self.cast.helpers):
            # Where it may not be looked at, no attack that asks for it is made.
            with contextlib.suppress(OSError):
                yield str(Path(f"/proc/{one.pid}/ns/user").readlink())
