"""The process that cleans up after a run, whatever ended it.

From its standard input it reads records, each of something that the run has just made, and waits
for the end of that stream, which comes when the harness ends in any way, SIGKILL included. Then it
kills what is in the cgroups and removes all of it. It is started as a program of its own, imports
next to nothing and ignores the signals that a terminal sends to the whole group.

A record has four fields, each ended by a NUL, which no path can hold: the kind, device and inode,
the path. What is not a directory of this device and inode any more was not made by the run, and
stays; so does what is mounted below it. Of an instance of tracing, which appears only after its
record, the path is through a descriptor of our own and ends with the run's random name.
"""

from __future__ import annotations

import os
import signal
import stat
import sys
import time
from collections.abc import Iterable, Iterator
from contextlib import suppress
from typing import Final, NamedTuple

PATIENCE_S = 10.0
DIRECTORY: Final = b"directory"
CGROUP: Final = b"cgroup"
INSTANCE: Final = b"instance"

_REMOVAL_S: Final = 60.0
_FIELDS: Final = 4
_FOLDER: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


class Record(NamedTuple):
    """Something that a run has made; device and inode are 0 where it is yet to be made."""

    kind: bytes
    device: int
    inode: int
    path: bytes

    def written(self) -> bytes:
        """Return the record as the cleanup process reads it."""
        fields = (self.kind, b"%d" % self.device, b"%d" % self.inode, self.path)
        return b"".join(field + b"\0" for field in fields)


def record_of(kind: bytes, path: str | os.PathLike[str]) -> Record:
    """Return the record of a directory that is there. Raises OSError."""
    status = os.lstat(path)
    return Record(kind, status.st_dev, status.st_ino, os.fsencode(path))


def read_records(text: bytes) -> Iterator[Record]:
    """Yield the records in `text`; one that was broken off at the end is left out."""
    fields = text.split(b"\0")[:-1]
    for start in range(0, len(fields) - _FIELDS + 1, _FIELDS):
        kind, device, inode, path = fields[start : start + _FIELDS]
        yield Record(kind, int(device), int(inode), path)


def main() -> None:
    """Wait for the harness to end, then remove what it made."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    sweep(list(read_records(sys.stdin.buffer.read())))


def sweep(records: Iterable[Record]) -> None:
    """Remove what a run has made: cgroups first, so that nobody is left to use the rest."""
    for record in sorted(records, key=lambda record: record.kind != CGROUP):
        if record.kind == INSTANCE:
            remove_instance(record.path)
        elif record.kind == CGROUP and _is_still(record):
            remove_cgroup(os.fsdecode(record.path))
        elif record.kind == DIRECTORY:
            remove_directory(record)


def _is_still(record: Record) -> bool:
    try:
        status = os.lstat(record.path)
    except OSError:
        return False
    return stat.S_ISDIR(status.st_mode) and (status.st_dev, status.st_ino) == record[1:3]


def remove_instance(path: bytes) -> None:
    """Remove an instance of tracing, whose files nobody has open any more: they go with it."""
    if os.path.exists(os.path.join(path, b"trace_clock")):
        with suppress(OSError):
            os.rmdir(path)


def remove_directory(record: Record) -> None:
    """Remove the directory of a record with all that is in it, as far as it lets itself."""
    try:
        folder = os.open(record.path, _FOLDER)
    except OSError:
        return  # it is gone, or another thing has its name
    try:
        status = os.fstat(folder)
        if (status.st_dev, status.st_ino) == record[1:3]:
            _empty(folder)
            with suppress(OSError):
                os.rmdir(record.path)
    finally:
        os.close(folder)


def _empty(folder: int) -> None:
    """Remove what is in an open directory, and in no other file system.

    Scripts make directories as deep as they like. So nothing here goes deep: what lies below a
    directory is moved up beside it, and gets its turn there.
    """
    mount, deadline = _mount_of(folder), time.monotonic() + _REMOVAL_S
    left: set[str] = set()
    while time.monotonic() < deadline:
        names = set(os.listdir(folder)) - left
        if not names:
            return
        for name in names:
            if not _remove(folder, name, mount):
                left.add(name)


def _remove(folder: int, name: str, mount: str) -> bool:
    """Remove an entry of `folder`; what is two levels below comes up. False where it stays."""
    try:
        os.unlink(name, dir_fd=folder)
    except FileNotFoundError:
        return True
    except OSError:
        return _remove_folder(folder, name, mount)
    return True


def _remove_folder(folder: int, name: str, mount: str) -> bool:
    try:
        inner = os.open(name, _FOLDER, dir_fd=folder)
    except OSError:
        return False
    try:
        if _mount_of(inner) != mount:
            return False
        for below in os.listdir(inner):
            with suppress(OSError):  # something is mounted there
                _unlink_or_raise_up(inner, below, folder)
        os.rmdir(name, dir_fd=folder)
    except OSError:
        return False
    finally:
        os.close(inner)
    return True


def _unlink_or_raise_up(inner: int, name: str, folder: int) -> None:
    try:
        os.unlink(name, dir_fd=inner)
    except OSError:
        status = os.stat(name, dir_fd=inner, follow_symlinks=False)
        os.rename(name, f".swept-{status.st_ino}", src_dir_fd=inner, dst_dir_fd=folder)


def _mount_of(descriptor: int) -> str:
    """Return which mount an open file is in (proc_pid_fdinfo(5)), else its device."""
    with suppress(OSError), open(f"/proc/self/fdinfo/{descriptor}") as lines:
        for line in lines:
            if line.startswith("mnt_id:"):
                return line
    return str(os.fstat(descriptor).st_dev)


def remove_cgroup(path: str) -> None:
    """Kill the processes in a cgroup and remove it, as soon as the last of them has gone."""
    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline:
        try:
            os.rmdir(path)
        except FileNotFoundError:
            return
        except OSError:
            kill_all(path)
            time.sleep(0.02)
        else:
            return


def kill_all(path: str) -> None:
    """Kill every process in a cgroup: at once where the kernel can, else one by one."""
    try:
        with open(os.path.join(path, "cgroup.kill"), "w") as file:
            file.write("1")
    except OSError:
        with suppress(OSError), open(os.path.join(path, "cgroup.procs")) as file:
            for line in file:
                with suppress(ProcessLookupError):
                    os.kill(int(line), signal.SIGKILL)


if __name__ == "__main__":
    main()
