"""Files that hold either the old or the new content, however the process ends."""

from __future__ import annotations

import contextlib
import errno
import os
import stat
from pathlib import Path

from harness.errors import IsobenchError

_HINTS = {
    errno.ENOSPC: "free space on that file system, then continue with --resume",
    errno.EDQUOT: "the disk quota is used up: free space, then continue with --resume",
    errno.EROFS: "that file system is read-only: choose another folder with --out",
    errno.EACCES: "choose a folder that you may write to with --out, or make a copy of this one",
    errno.EPERM: "choose a folder that you may write to with --out, or make a copy of this one",
}


def replace_file(path: Path, data: bytes) -> None:
    """Make `path` hold `data`, or leave it as it was.

    The new content is written beside `path`, synced, renamed over it, and the directory is
    synced, because rename(2) alone is not durable. Raises IsobenchError when the disk refuses;
    the old file is then intact and nothing is left beside it.
    """
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        _write_and_sync(partial, data)
        partial.replace(path)
        _sync_directory(path.parent)
    except OSError as error:
        _discard(partial)
        raise refusal(path, error) from error
    except BaseException:
        _discard(partial)
        raise


def content_of(path: Path) -> bytes:
    """Return what a file holds. Raises OSError, also where it is a pipe, a device or the like.

    These may have no end, and a pipe no beginning before somebody writes to it.
    """
    with open(path, "rb", opener=_without_waiting) as file:
        if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            raise OSError(errno.EINVAL, "it is not a regular file", str(path))
        return file.read()


def _without_waiting(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_NONBLOCK)


def make_directory(path: Path) -> Path:
    """Return the directory `path`, made if need be. Raises IsobenchError when the disk refuses."""
    try:
        path.mkdir(exist_ok=True)
    except OSError as error:
        raise refusal(path, error) from error
    return path


def remove_partials(folder: Path) -> None:
    """Remove what a killed writer left. Call only while no other writer can be active."""
    for partial in folder.glob(".*.partial"):
        _discard(partial)


def refusal(path: Path, error: OSError) -> IsobenchError:
    """Return the error that says why `path` could not be written, and what to do about it."""
    reason = error.strerror or str(error)
    return IsobenchError(
        f"cannot write {path}: {reason}",
        hint=_HINTS.get(error.errno or 0, "choose another folder with --out"),
    )


def _write_and_sync(path: Path, data: bytes) -> None:
    with open(path, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def _sync_directory(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _discard(path: Path) -> None:
    # Best effort: the error that brought us here is the one to tell.
    with contextlib.suppress(OSError):
        path.unlink(missing_ok=True)
