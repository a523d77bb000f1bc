"""What a user is meant to read: the one exception, and cautions."""

from __future__ import annotations

import errno
import os
from dataclasses import dataclass

_NOT_WRITABLE = "choose another directory with TMPDIR or --out, or change its permissions"
_HINTS = {
    errno.ENOSPC: "free space on that file system, or set TMPDIR to a directory on another one",
    errno.EDQUOT: "the disk quota is used up: free space, or set TMPDIR to another directory",
    errno.EFBIG: "raise the limit on the size of files: ulimit -f unlimited",
    errno.EROFS: "that file system is read-only: choose another directory with TMPDIR or --out",
    errno.EACCES: _NOT_WRITABLE,
    errno.EPERM: _NOT_WRITABLE,
    errno.EMFILE: "raise the limit on open files: ulimit -n 4096",
    errno.ENFILE: "the host's limit on open files is reached: raise the sysctl fs.file-max",
    errno.EAGAIN: "raise the limit on processes (ulimit -u), or the cgroup's pids.max",
    errno.ENOMEM: "free some memory",
}
_WRITING = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS}
_STARTING = {errno.EAGAIN, errno.ENOMEM}
_LIMITS = (errno.EAGAIN, errno.EMFILE)


@dataclass(frozen=True)
class Caution:
    """Something that weakens the results, and what to do about it."""

    about: str
    advice: str


class IsobenchError(Exception):
    """What went wrong, in one line, with a `hint` that says what to do about it.

    `exit_code` is what the command ends with: 2 for wrong usage or an unusable host (the
    default), 1 for a condition or a verification that failed, 3 for a host too erratic
    to judge one.
    """

    def __init__(self, message: str, hint: str = "", exit_code: int = 2) -> None:
        super().__init__(message)
        self.hint = hint
        self.exit_code = exit_code


def is_lack_of_room(error: OSError) -> bool:
    """Return whether an error says that nothing more can be written, wherever that was."""
    return error.errno in _WRITING


def way_out_of_limit(line: str) -> str | None:
    """Return what helps a program that ended with this line, None where it met no limit of ours."""
    return next((_HINTS[number] for number in _LIMITS if f"[Errno {number}]" in line), None)


def of_system(error: OSError, path: str = "") -> IsobenchError:
    """Return the error that tells a user what the system refused, and the way out.

    `path` names what was written to, where the error itself does not: write(2) knows no names.
    """
    named = error.filename if isinstance(error.filename, str | bytes) else path
    name = os.fsdecode(named)
    if is_lack_of_room(error):
        what = f"cannot write {name or 'a file'}"
    elif error.errno in _STARTING:
        what = f"cannot start {name or 'a process'}"
    else:
        what = f"cannot use {name or 'a file'}"
    reason = error.strerror or str(error)
    return IsobenchError(
        f"{what}: {reason}",
        hint=_HINTS.get(error.errno or 0, "see isobench doctor"),
        exit_code=1,
    )
