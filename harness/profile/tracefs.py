"""The kernel's tracing files, without mounting them anywhere.

A mount made by fsopen(2) and fsmount(2) hangs in no directory: it is reached through its descriptor
and is gone with it. So nobody else on the host sees a mount, and there is none to take down.
"""

from __future__ import annotations

import ctypes
import os
from pathlib import Path
from typing import Final

# asm-generic/unistd.h; since Linux 5.1 new calls have one number on all architectures but Alpha.
_FSOPEN: Final = 430
_FSCONFIG: Final = 431
_FSMOUNT: Final = 432
_CLOEXEC: Final = 1  # FSOPEN_CLOEXEC and FSMOUNT_CLOEXEC (linux/mount.h)
_FSCONFIG_CMD_CREATE: Final = 6
_FIRST_PID_NAMESPACE: Final = 0xEFFFFFFC  # PROC_PID_INIT_INO (linux/proc_ns.h)

_libc: Final = ctypes.CDLL(None, use_errno=True)


class NoTracing(Exception):
    """The kernel's view is not to be had; the message says why."""


def attach() -> int:
    """Return the descriptor of a tracefs of one's own. Raises NoTracing."""
    # The kernel writes process ids as the first namespace knows them; so must who reads them.
    if Path("/proc/self/ns/pid").stat().st_ino != _FIRST_PID_NAMESPACE:
        raise NoTracing(
            "isobench runs in a pid namespace, whose process ids differ from the kernel's"
        )
    context = _call("tracefs cannot be opened", _FSOPEN, b"tracefs", _CLOEXEC)
    try:
        _call("tracefs cannot be made", _FSCONFIG, context, _FSCONFIG_CMD_CREATE, None, None, 0)
        mount = _call("tracefs cannot be attached", _FSMOUNT, context, _CLOEXEC, 0)
    finally:
        os.close(context)
    if not path_of(mount).joinpath("instances").is_dir():
        os.close(mount)
        raise NoTracing("this kernel's tracing has no instances")
    return mount


def path_of(mount: int) -> Path:
    """Return the path by which a process that has the descriptor `mount` reaches the files."""
    return Path(f"/proc/self/fd/{mount}")


def _call(what: str, number: int, *arguments: bytes | int | None) -> int:
    result: int = _libc.syscall(ctypes.c_long(number), *arguments)
    if result < 0:
        raise NoTracing(f"{what}: {os.strerror(ctypes.get_errno())}")
    return result
