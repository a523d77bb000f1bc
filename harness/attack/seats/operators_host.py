"""The host of a scene's servers: what a server finds there that has no namespaces of its own.

It is the `starter`'s part of the real host, with its own System V objects, /dev/shm and /tmp, where
that may have namespaces; else the host itself.
"""

from __future__ import annotations

import ctypes
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Final

_CLONE_NEWIPC: Final = 0x08000000  # linux/sched.h
_REMOVE: Final = 0  # IPC_RMID of linux/ipc.h

_libc: Final = ctypes.CDLL(None, use_errno=True)


@dataclass(frozen=True)
class OperatorsHost:
    """Looked at through the process `pid`."""

    pid: int

    def path(self, path: Path) -> Path:
        """Return where a path of that host is found."""
        return Path(f"/proc/{self.pid}/root") / path.relative_to("/")

    def take_segment(self, key: int) -> bool:
        """Remove shared memory with a key (shmget(2)); return whether there was any."""
        # A thread of its own enters the namespace, and never leaves it.
        with ThreadPoolExecutor(1) as executor:
            return executor.submit(self._take_segment, key).result()

    def _take_segment(self, key: int) -> bool:
        # Where that is not allowed, the other process has not been allowed to leave ours.
        with open(f"/proc/{self.pid}/ns/ipc") as namespace:
            _libc.setns(namespace.fileno(), _CLONE_NEWIPC)
        found = [number for number in _segments(key) if _libc.shmctl(number, _REMOVE, None) == 0]
        return bool(found)


def _segments(key: int) -> Iterator[int]:
    """Yield the numbers of shared memory with a key (proc_sysvipc(5))."""
    for line in Path("/proc/sysvipc/shm").read_text().splitlines()[1:]:
        its_key, number, *_ = (int(word) for word in line.split())
        if its_key == key:
            yield number
