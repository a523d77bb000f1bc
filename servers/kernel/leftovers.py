"""What scripts can leave on the host beyond their processes, removed when their server has ended.

A server's own namespaces end with it, and with them System V objects and `/dev/shm`. Where the host
allows none, these stay; and keys in a user's own keyring stay in any case, since the kernel knows
them by uid (user-keyring(7)). Nothing is removed but what is provably a tenant's or www's: made by
a uid that no user of the host has, since the server began, and with that uid's own rights.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import pwd
import stat
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Final

from servers.kernel import keyring

_SHARED_MEMORY: Final = Path("/dev/shm")
_SYSTEM_V: Final = Path("/proc/sysvipc")  # sysvipc(7); proc_sysvipc(5)
_REMOVE: Final = 0  # IPC_RMID of linux/ipc.h

_libc: Final = ctypes.CDLL(None, use_errno=True)
_removals: Final[dict[str, Callable[[int], object]]] = {
    "shm": lambda number: _libc.shmctl(number, _REMOVE, None),
    "sem": lambda number: _libc.semctl(number, 0, _REMOVE, None),
    "msg": lambda number: _libc.msgctl(number, _REMOVE, None),
}

_NUMBERS: Final = {"shm": "shmid", "sem": "semid", "msg": "msqid"}


def remove(uids: Iterable[int], since: float) -> None:
    """Remove what these uids have made since a time in seconds since the epoch.

    Becomes one after the other, and root again: not in a child, since a process whose pid namespace
    for children has ended can have none (pid_namespaces(7)). As anybody but root there is nothing
    to remove: scripts then are the user, whose other programs leave things of the same kind.
    """
    if os.geteuid() != 0:
        return
    nobodys = [uid for uid in sorted(set(uids)) if uid and not _is_a_users(uid)]
    for uid in nobodys:
        os.setresuid(uid, uid, 0)
        try:
            _remove_of(uid, int(since))
        finally:
            os.setresuid(0, 0, 0)


def _is_a_users(uid: int) -> bool:
    try:
        pwd.getpwuid(uid)
    except KeyError:
        return False
    return True


def _remove_of(uid: int, since: int) -> None:
    if _has_keys(uid):
        keyring.forget_users()
    for kind, number in _objects_of(uid, since):
        _removals[kind](number)
    for path in _files_of(uid, since):
        with contextlib.suppress(OSError):
            path.unlink()


def _has_keys(uid: int) -> bool:
    """Return whether a uid has keys, or had some lately (proc_key-users(5))."""
    try:
        lines = Path("/proc/key-users").read_text().splitlines()
    except OSError:
        return False
    return any(line.partition(":")[0].strip() == str(uid) for line in lines)


def _objects_of(uid: int, since: int) -> Iterator[tuple[str, int]]:
    for kind in _removals:
        try:
            header, *lines = (_SYSTEM_V / kind).read_text().splitlines()
        except (OSError, ValueError):
            continue  # the kernel has none
        names = header.split()
        for line in lines:
            found = dict(zip(names, map(int, line.split()), strict=True))
            if found["uid"] == found["cuid"] == uid and found["ctime"] >= since:
                yield kind, found[_NUMBERS[kind]]


def _files_of(uid: int, since: int) -> Iterator[Path]:
    try:
        entries = list(_SHARED_MEMORY.iterdir())
    except OSError:
        return
    for path in entries:
        with contextlib.suppress(OSError):
            status = path.lstat()
            if status.st_uid == uid and stat.S_ISREG(status.st_mode) and status.st_ctime >= since:
                yield path
