"""What a run owns on the host: a scratch directory, a cgroup, a cleanup process that removes both.

Uids are claimed besides: they are names that end with the process (`workloads.uids`).

Rule 1: nothing is made outside these two places and the results folder.
Rule 2: the cleanup process knows of a thing before anything is put into it.
Rule 3: only the cleanup process removes, after success as after failure. If it was killed itself,
another one does.
Rule 4: what is removed is proved to be ours, by device and inode.
"""

from __future__ import annotations

import fcntl
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Self

from harness.errors import IsobenchError, is_lack_of_room, of_system
from harness.host import cgroup, cgroup_v1
from harness.target import cleanup_process
from workloads.uids import ClaimedUids

PREFIX = "isobench-"
_LOCK = "in-use"
_LONGEST_MARK = 100
_LONGEST_BASE = 1024
_CLEANUP_S = 90.0


class RunResources:
    """A context: on entering the things are made, on leaving they are removed.

    `files` are descriptors by which paths go that are handed over, such as one of `tracefs`.
    """

    scratch: Path
    processes: cgroup.ProcessGroup
    uids: ClaimedUids

    def __init__(self, files: Sequence[int] = (), *, on_disk: bool = False) -> None:
        """`on_disk` prefers a file system that is not in memory for the scratch directory."""
        self._files = files
        self._on_disk = on_disk
        self.uids = ClaimedUids()

    def __enter__(self) -> Self:
        base = scratch_base(self._on_disk)
        remove_stale(base)
        self._records: list[cleanup_process.Record] = []
        self._start_cleanup()
        self.scratch = self._make_scratch(base)
        self.processes = self._make_group(self.scratch.name.removeprefix(PREFIX))
        return self

    def _start_cleanup(self) -> None:
        self._cleanup = subprocess.Popen(
            [sys.executable, "-IS", str(Path(__file__).with_name("cleanup_process.py"))],
            stdin=subprocess.PIPE,
            bufsize=0,
            start_new_session=True,
            cwd="/",
            pass_fds=self._files,
        )

    def another_group(self, number: int) -> cgroup.ProcessGroup:
        """Make a group for a server that lives at the same time as others."""
        return self._make_group(f"{self.scratch.name.removeprefix(PREFIX)}-{number}")

    def _make_group(self, name: str) -> cgroup.ProcessGroup:
        group = cgroup.create(name)
        if group.path is not None:
            self._hand_over(cleanup_process.record_of(cleanup_process.CGROUP, group.path))
        return group

    def version_1_groups(self, controllers: Sequence[str]) -> dict[str, Path] | None:
        """Make a cgroup of version 1 for each controller; None where that is not allowed."""
        name = f"{cgroup.PREFIX}{os.getpid()}-{self.scratch.name.removeprefix(PREFIX)}"
        made = cgroup_v1.create(name, controllers)
        for path in (made or {}).values():
            self._hand_over(cleanup_process.record_of(cleanup_process.CGROUP, path))
        return made

    def _make_scratch(self, base: Path) -> Path:
        while True:
            scratch = Path(tempfile.mkdtemp(prefix=PREFIX, dir=base))
            self._hand_over(cleanup_process.record_of(cleanup_process.DIRECTORY, scratch))
            self._lock = os.open(scratch / _LOCK, os.O_RDWR | os.O_CREAT | os.O_EXCL)
            fcntl.flock(self._lock, fcntl.LOCK_EX)
            if os.fstat(self._lock).st_nlink:
                os.write(self._lock, _mark(scratch))
                # Tenants must pass through it; what lies inside has permissions of its own.
                scratch.chmod(0o755)
                return scratch
            # Another run that began just now saw it unlocked, and took it for a leftover.
            os.close(self._lock)

    def hand_over_instance(self, path: Path) -> None:
        """Have the cleanup process remove an instance of tracing that is made at once after.

        Its path begins with one of `files`, and ends with the name of the scratch directory.
        """
        self._hand_over(cleanup_process.Record(cleanup_process.INSTANCE, 0, 0, os.fsencode(path)))

    def _hand_over(self, record: cleanup_process.Record) -> None:
        self._records.append(record)
        try:
            self._tell(record)
        except BrokenPipeError:  # somebody has killed it
            self._close_cleanup()
            self._start_cleanup()
            for known in self._records:
                self._tell(known)

    def _tell(self, record: cleanup_process.Record) -> None:
        assert self._cleanup.stdin is not None
        self._cleanup.stdin.write(record.written())

    def __exit__(self, _kind: object, error: BaseException | None, _trace: object) -> None:
        """Have all removed. Raises IsobenchError where the scratch directory had no room left."""
        os.close(self._lock)
        if self._close_cleanup() != 0:
            cleanup_process.sweep(self._records)
        self.uids.close()  # now that nothing runs as one of them
        # What goes elsewhere, to the results or the terminal, is no OSError any more.
        if isinstance(error, OSError) and is_lack_of_room(error):
            raise of_system(error, str(self.scratch)) from error

    def _close_cleanup(self) -> int:
        """Wait until the cleanup process has done its work, or kill it; return its exit status."""
        assert self._cleanup.stdin is not None
        self._cleanup.stdin.close()
        try:
            return self._cleanup.wait(_CLEANUP_S)
        except subprocess.TimeoutExpired:
            self._cleanup.kill()
            return self._cleanup.wait()


def _mark(scratch: Path) -> bytes:
    """Return what only the lock of this very directory says, and of no copy."""
    status = os.lstat(scratch)
    return b"%d %d\n" % (status.st_dev, status.st_ino)


def scratch_base(on_disk: bool = False) -> Path:
    """Return the directory to make the scratch directory in.

    A file system in memory is preferred, so that no disk comes between the modes, unless it shall
    be `on_disk`. Raises IsobenchError where nothing can be executed anywhere, and for a TMPDIR
    whose name is no text.
    """
    for base in _candidates(on_disk):
        if _is_writable(base) and _can_execute_in(base):
            return base
    raise IsobenchError(
        "no temporary directory allows the execution of tenants' scripts",
        hint="set TMPDIR to a directory on a file system mounted without noexec",
    )


def _candidates(on_disk: bool) -> Iterator[Path]:
    if chosen := os.environ.get("TMPDIR"):
        # Servers and the cleanup process have working directories of their own.
        base = os.path.realpath(chosen)
        if not base.isprintable():
            raise IsobenchError(
                f"TMPDIR names a directory that cannot be written as text: {base!a}",
                hint="set TMPDIR to a directory whose path has no control characters",
            )
        if len(os.fsencode(base)) > _LONGEST_BASE:
            raise IsobenchError(
                f"TMPDIR names a directory whose path is longer than {_LONGEST_BASE} bytes",
                hint="set TMPDIR to another directory, or unset it",
            )
        yield Path(base)
    usual = (Path("/dev/shm"), Path("/tmp"), Path("/var/tmp"))
    yield from reversed(usual) if on_disk else usual


def _is_writable(base: Path) -> bool:
    try:
        return base.is_dir() and os.access(base, os.W_OK | os.X_OK)
    except OSError:  # ENAMETOOLONG
        return False


def _can_execute_in(base: Path) -> bool:
    return not os.statvfs(base).f_flag & os.ST_NOEXEC


def remove_stale(base: Path) -> None:
    """Remove scratch directories of ours whose harness and cleanup process were both killed."""
    for path in base.glob(f"{PREFIX}*"):
        try:
            if path.lstat().st_uid == os.geteuid():
                _remove_if_left(path)
        except OSError:
            continue  # in use, or none of ours


def _remove_if_left(path: Path) -> None:
    """Raises OSError where it was not left behind."""
    record = cleanup_process.record_of(cleanup_process.DIRECTORY, path)
    with open(path / _LOCK, "rb", opener=_not_followed) as lock:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        mark = lock.read(_LONGEST_MARK)
    if mark == _mark(path):
        cleanup_process.remove_directory(record)
    elif not mark:  # its harness was killed before it could say so; there is nothing else in it
        (path / _LOCK).unlink()
        path.rmdir()


def _not_followed(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_NOFOLLOW | os.O_NONBLOCK)
