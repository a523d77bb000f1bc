"""What a run owns on the host: a scratch directory, a cgroup, a sweeper that removes both.

Rule 1: nothing is made outside these two places and the results folder.
Rule 2: the sweeper knows of a thing before anything is put into it.
Rule 3: the sweeper is the only one that removes, at a good end as at a bad one.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Self

from harness import cgroup
from harness.errors import IsobenchError, is_lack_of_room, of_system

PREFIX = "isobench-"
_LOCK = "in-use"


class Belongings:
    """A context: on entering the things are made, on leaving they are removed.

    `files` are descriptors by which paths go that are handed over, such as one of `tracefs`.
    """

    scratch: Path
    processes: cgroup.ProcessGroup

    def __init__(self, files: Sequence[int] = ()) -> None:
        self._files = files

    def __enter__(self) -> Self:
        base = scratch_base()
        remove_stale(base)
        self._sweeper = subprocess.Popen(
            [sys.executable, "-IS", str(Path(__file__).with_name("sweeper.py"))],
            stdin=subprocess.PIPE,
            text=True,
            start_new_session=True,
            cwd="/",
            pass_fds=self._files,
        )
        self.scratch = self._make_scratch(base)
        self.processes = self._make_group(self.scratch.name.removeprefix(PREFIX))
        return self

    def another_group(self, number: int) -> cgroup.ProcessGroup:
        """Make a group for a server that lives at the same time as others."""
        return self._make_group(f"{self.scratch.name.removeprefix(PREFIX)}-{number}")

    def _make_group(self, name: str) -> cgroup.ProcessGroup:
        group = cgroup.create(name)
        if group.path is not None:
            self.hand_over(group.path)
        return group

    def _make_scratch(self, base: Path) -> Path:
        while True:
            scratch = Path(tempfile.mkdtemp(prefix=PREFIX, dir=base))
            self.hand_over(scratch)
            self._lock = os.open(scratch / _LOCK, os.O_RDWR | os.O_CREAT | os.O_EXCL)
            fcntl.flock(self._lock, fcntl.LOCK_EX)
            if os.fstat(self._lock).st_nlink:
                # Tenants must pass through it; what lies inside has permissions of its own.
                scratch.chmod(0o755)
                return scratch
            # Another run that began just now saw it unlocked, and took it for a leftover.
            os.close(self._lock)

    def hand_over(self, path: Path) -> None:
        """Have the sweeper remove a directory that is made now, or at once after."""
        assert self._sweeper.stdin is not None
        self._sweeper.stdin.write(f"{path}\n")
        self._sweeper.stdin.flush()

    def __exit__(self, _kind: object, error: BaseException | None, _trace: object) -> None:
        """Have all removed. Raises IsobenchError where the scratch directory had no room left."""
        os.close(self._lock)
        assert self._sweeper.stdin is not None
        self._sweeper.stdin.close()
        self._sweeper.wait()
        # What goes elsewhere, to the results or the terminal, is no OSError any more.
        if isinstance(error, OSError) and is_lack_of_room(error):
            raise of_system(error, str(self.scratch)) from error


def scratch_base() -> Path:
    """Return the directory to make the scratch directory in.

    A file system in memory is preferred, so that no disk comes between the modes. Raises
    IsobenchError where nothing can be executed anywhere.
    """
    for base in _candidates():
        if base.is_dir() and os.access(base, os.W_OK) and _can_execute_in(base):
            return base
    raise IsobenchError(
        "no temporary directory allows the execution of tenants' scripts",
        hint="set TMPDIR to a directory on a file system mounted without noexec",
    )


def _candidates() -> Iterator[Path]:
    if "TMPDIR" in os.environ:
        yield Path(os.environ["TMPDIR"])
    yield from (Path("/dev/shm"), Path("/tmp"), Path("/var/tmp"))


def _can_execute_in(base: Path) -> bool:
    return not os.statvfs(base).f_flag & os.ST_NOEXEC


def remove_stale(base: Path) -> None:
    """Remove scratch directories of ours whose harness and sweeper were both killed."""
    for path in base.glob(f"{PREFIX}*"):
        try:
            if path.stat().st_uid != os.geteuid():
                continue
            with open(path / _LOCK) as lock:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            continue  # in use, or none of ours
        shutil.rmtree(path, ignore_errors=True)
