"""Trace the server's first process."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from workloads.attacks.scene import Given, Scene

ONE_STEP = True


def attack(given: Given) -> object:
    import ctypes
    import os
    import time

    libc = ctypes.CDLL(None, use_errno=True)
    if libc.ptrace(0x4206, given.master, 0, 0):  # PTRACE_SEIZE, which does not stop it
        raise OSError(ctypes.get_errno(), f"ptrace: {os.strerror(ctypes.get_errno())}")
    time.sleep(0.3)
    libc.ptrace(17, given.master, 0, 0)  # PTRACE_DETACH
    return given.master


def meanwhile(scene: Scene) -> str | None:
    tracer = scene.tracer_of("master")
    return f"the master is traced by process {tracer}" if tracer else None


def proof(scene: Scene) -> str | None:
    return None
