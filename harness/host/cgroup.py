"""The run's own cgroup: the exact CPU time of a server's processes, and a way to kill them.

Version 2 of cgroups counts `usage_usec` in every directory, even where no controller is delegated
(cgroup-v2.rst, "cpu.stat"), children that were reaped included. `NoCgroup` stands in where none
can be created, so that callers need no special case.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Protocol

from harness.host.polling import wait_until

PREFIX = "isobench-"
_PATIENCE_S = 5.0
_EVERY_S = 0.002


class ProcessGroup(Protocol):
    """A set of processes that can be measured and killed as one."""

    path: Path | None

    def cpu_s(self) -> float | None:
        """Return the CPU seconds used so far, None where only the server itself knows."""

    def pids(self) -> list[int] | None:
        """Return the processes in it, None where that is not known."""

    def kill(self) -> None:
        """End every process in it, whatever its credentials."""


class NoCgroup:
    """Stands in where no cgroup can be made."""

    path: Path | None = None

    def cpu_s(self) -> float | None:
        """Return None: unknown."""
        return None

    def pids(self) -> list[int] | None:
        """Return None: unknown."""
        return None

    def kill(self) -> None:
        """Do nothing: the server's own pid namespace, or its master, ends its processes."""


class Cgroup:
    """A cgroup v2 directory. Whoever creates it removes it (see `cleanup_process`)."""

    def __init__(self, path: Path) -> None:
        self.path: Path | None = path
        self._cpu_stat = path / "cpu.stat"
        self._procs = path / "cgroup.procs"
        self._kill = path / "cgroup.kill"

    def cpu_s(self) -> float | None:
        """Return the CPU seconds used by all processes that ever were in it.

        None where the kernel does not count them.
        """
        for line in self._cpu_stat.read_text().splitlines():
            name, _, value = line.partition(" ")
            if name == "usage_usec":
                return int(value) / 1e6
        return None

    def pids(self) -> list[int] | None:
        """Return the processes in it."""
        return [int(line) for line in self._procs.read_text().split()]

    def kill(self) -> None:
        """End every process in it (cgroup.kill, Linux 5.14), and see them go."""
        if not self._kill.exists():
            return
        self._kill.write_text("1")
        wait_until(lambda: not self.pids(), _PATIENCE_S, every_s=_EVERY_S)


def own_directory(root: Path = Path("/")) -> Path | None:
    """Return the cgroup v2 directory that this process is in, None on a host without one.

    `root` is where the host's files are.
    """
    mount = _mount_point(root)
    for line in lines_of(root / "proc/self/cgroup"):
        if mount is not None and line.startswith("0::"):
            return mount / line.removeprefix("0::").strip().lstrip("/")
    return None


def create(run_id: str) -> ProcessGroup:
    """Make a cgroup for a run's servers, or a stand-in where that is not allowed."""
    parent = own_directory()
    if parent is None:
        return NoCgroup()
    remove_stale(parent)
    path = parent / f"{PREFIX}{os.getpid()}-{run_id}"
    try:
        path.mkdir()
    except OSError:
        return NoCgroup()
    return Cgroup(path)


def remove_stale(parent: Path) -> None:
    """Remove the empty cgroups of runs whose harness and cleanup process were both killed."""
    for path in parent.glob(f"{PREFIX}*"):
        pid = path.name.removeprefix(PREFIX).partition("-")[0]
        if pid.isdigit() and not Path("/proc", pid).exists():
            try:
                path.rmdir()
            except OSError:
                continue  # somebody is still in there, or it is not ours to remove


def mounts(root: Path, kind: str) -> Iterator[tuple[Path, Sequence[str]]]:
    """Yield the mount point of each file system of a kind, and the options of the file system.

    `root` is where the host's files are.
    """
    # proc_pid_mountinfo(5): the mount point is the fifth field; after the hyphen come the type, the
    # source and the options.
    for line in lines_of(root / "proc/self/mountinfo"):
        before, _, after = line.partition(" - ")
        fields, rest = before.split(), after.split()
        if len(fields) > 4 and rest[:1] == [kind]:
            yield root / fields[4].lstrip("/"), rest[-1].split(",")


def _mount_point(root: Path) -> Path | None:
    return next((point for point, _ in mounts(root, "cgroup2")), None)


def lines_of(path: Path) -> list[str]:
    """Return the lines of a file, none where it cannot be read."""
    try:
        text = path.read_bytes().decode(errors="surrogateescape")  # a name is any bytes
    except OSError:
        return []
    return text.split("\n")
