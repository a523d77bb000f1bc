"""A user namespace in which a chosen set of ids exists, each as itself, and no other.

In there a process may hold CAP_SETUID and become any of these ids, and none of the host's others:
what has no number in the namespace cannot be asked for (user_namespaces(7)). Setuid programs of
ids that it does not hold run as if they had no setuid bit.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import Final

from servers.kernel import detach, syscalls

# user_namespaces(7): what the kernel takes for a map, since Linux 4.15.
_MOST_RANGES: Final = 340
_MAP_BYTES: Final = os.sysconf("SC_PAGE_SIZE") - 1


def ranges(ids: Iterable[int]) -> list[tuple[int, int]]:
    """Return `ids` as ranges (first, length), consecutive numbers merged."""
    merged: list[tuple[int, int]] = []
    for number in sorted(set(ids)):
        if merged and sum(merged[-1]) == number:
            merged[-1] = (merged[-1][0], merged[-1][1] + 1)
        else:
            merged.append((number, 1))
    return merged


def fits(ids: Iterable[int]) -> bool:
    """Return whether one namespace can hold these ids; how many ranges they form is what counts."""
    return len(ranges(ids)) <= _MOST_RANGES and len(_map(ids)) <= _MAP_BYTES


def enter(uids: Iterable[int], gids: Iterable[int]) -> None:
    """Move this process, which must have one thread, into a new user namespace with these ids.

    It has all capabilities in there, and none outside. The maps are written by a child that stays
    outside, since that takes CAP_SETUID and CAP_SETGID over the ids out there. Raises OSError.
    """
    maps = {"uid_map": _map(uids), "gid_map": _map(gids)}
    # A descriptor, since our process id in the namespace that /proc shows may be another.
    ourselves = os.open("/proc/self", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    entered, tell = os.pipe2(os.O_CLOEXEC)
    child = detach.attempt(lambda: _write(maps, ourselves, entered, tell))
    try:
        syscalls.unshare(syscalls.CLONE_NEWUSER)
        os.write(tell, b".")
    finally:
        for descriptor in (ourselves, entered, tell):
            os.close(descriptor)
        failure = detach.failure_of(child)
    if failure:
        raise OSError(failure, os.strerror(failure))


def _map(ids: Iterable[int]) -> bytes:
    return b"".join(b"%d %d %d\n" % (first, first, length) for first, length in ranges(ids))


def _write(maps: dict[str, bytes], process: int, entered: int, tell: int) -> None:
    """Write the maps of `process` once it says that it has entered. In a child. Raises OSError.

    Each map must arrive in one write, and at most once (user_namespaces(7)).
    """
    os.close(tell)  # of which the process alone is to hold an end
    if os.read(entered, 1):  # else it could not enter, and says so itself
        for name, lines in maps.items():
            descriptor = os.open(name, os.O_WRONLY | os.O_CLOEXEC, dir_fd=process)
            os.write(descriptor, lines)
