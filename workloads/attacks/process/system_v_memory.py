"""Leave shared memory on the host, for good."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from workloads.attacks.scene import Given, Scene

ONE_STEP = True


def attack(given: Given) -> object:
    import ctypes
    import os

    libc = ctypes.CDLL(None, use_errno=True)
    create = 0o1000
    if libc.shmget(int(given.token[:7], 16), 4096, create | 0o600) < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return "made"


def proof(scene: Scene) -> str | None:
    if scene.take_segment(int(scene.token[:7], 16)):
        return "the host has a segment of shared memory that nothing ends"
    return None
