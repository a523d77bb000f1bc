"""Uids for tenants: free ones, which no other run takes while this one lasts.

Strategy: uids are claimed in blocks, each by a Unix socket that is bound to the block's abstract
name (unix(7)). Only one process at a time can bind a name, nothing lies on any disk, and the kernel
gives the name back when the process has ended, however it did. Abstract names belong to a network
namespace: runs in different ones do not see each other's claims.
"""

from __future__ import annotations

import errno
import grp
import pwd
import socket
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Self

from workloads.errors import WorkloadError

UID_RANGE = range(47_000, 60_000)
"""Where free uids are looked for: above any ordinary host's users, below what Debian reserves."""

BLOCK = 100
"""How many uids one name stands for: ten thousand tenants take a hundred file descriptors."""


class ClaimedUids:
    """The uids that a run has claimed: none to begin with, given back when it is closed."""

    def __init__(self) -> None:
        """Claim nothing yet."""
        self._names: dict[int, socket.socket] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        _kind: type[BaseException] | None,
        _error: BaseException | None,
        _trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Give all of them back."""
        for name in self._names.values():
            name.close()
        self._names.clear()

    def first_free(self, count: int) -> int:
        """Claim `count` + 1 numbers, in a row, that are free as uids and as gids; return the first.

        The first is for www, the others for the tenants. Free is a number that no entry of the
        passwd and group databases has, as which no process runs, which this user namespace maps,
        and which nobody else has claimed. What was claimed before stays claimed, and is given
        again where no process runs as it any more.

        Raises `WorkloadError` if there are none.
        """
        is_free = _test_of_free()
        base = UID_RANGE.start
        for number in UID_RANGE:
            if not (is_free(number) and self._holds(number // BLOCK)):
                base = number + 1
            elif number - base == count:
                return base
        raise WorkloadError(
            f"no {count + 1} free uids in a row from {UID_RANGE.start} to {UID_RANGE.stop - 1}",
            hint="use fewer tenants, or wait until other runs have ended"
            if _maps_all()
            else "this user namespace maps too few uids: leave it, or map a range of ids in it "
            "(newuidmap(1), /etc/subuid)",
        )

    def _holds(self, block: int) -> bool:
        """Return whether the block is ours; it becomes so if it was nobody's."""
        if block not in self._names:
            name = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
            try:
                name.bind(f"\0isobench-uids-{block * BLOCK}")
            except OSError as error:
                name.close()
                if error.errno == errno.EADDRINUSE:
                    return False
                raise
            self._names[block] = name
        return True


def _test_of_free() -> Callable[[int], bool]:
    """Return whether a number is nobody's, as a function; processes are those of now."""
    running = _uids_of_processes()
    listed = _listed_ids()
    are_complete = lists_are_complete()
    uids, gids = _mapped("/proc/self/uid_map"), _mapped("/proc/self/gid_map")

    def is_free(number: int) -> bool:
        return (
            number not in running
            and number not in listed
            and any(number in extent for extent in uids)
            and any(number in extent for extent in gids)
            and (
                are_complete
                or not (_has_entry(number, pwd.getpwuid) or _has_entry(number, grp.getgrgid))
            )
        )

    return is_free


def parse_id_map(text: str) -> list[range]:
    """Return the numbers that a uid_map or gid_map maps (user_namespaces(7)), as ranges."""
    extents = (map(int, line.split()) for line in text.splitlines())
    return [range(inside, inside + length) for inside, _, length in extents]


def _mapped(path: str) -> list[range]:
    return parse_id_map(Path(path).read_text())


def _uids_of_processes() -> set[int]:
    uids = set()
    for process in Path("/proc").glob("[0-9]*"):
        try:
            uids.add(process.stat().st_uid)
        except FileNotFoundError:
            continue  # it ended meanwhile
    return uids


def _listed_ids() -> set[int]:
    """Return all uids and gids of the databases that can be listed."""
    return {entry.pw_uid for entry in pwd.getpwall()} | {entry.gr_gid for entry in grp.getgrall()}


def lists_are_complete(switch: Path = Path("/etc/nsswitch.conf")) -> bool:
    """Return whether all entries of passwd and group can be listed (nsswitch.conf(5)).

    Those of files can; a directory service may only answer for one number at a time, which takes
    long for ten thousand.
    """
    try:
        lines = switch.read_text(errors="replace").splitlines()
    except OSError:
        return False
    services = {
        service
        for name, _, rest in (line.partition("#")[0].partition(":") for line in lines)
        if name.strip() in ("passwd", "group")
        for service in rest.split()
    }
    return services <= {"files", "systemd"}


def _has_entry(number: int, look_up: Callable[[int], object]) -> bool:
    try:
        look_up(number)
    except KeyError:
        return False
    return True


def _maps_all(uid_map: str = "/proc/self/uid_map") -> bool:
    """Return whether this user namespace has each uid that tenants may get."""
    mapped = sum(
        max(0, min(one.stop, UID_RANGE.stop) - max(one.start, UID_RANGE.start))
        for one in _mapped(uid_map)
    )
    return mapped == len(UID_RANGE)
