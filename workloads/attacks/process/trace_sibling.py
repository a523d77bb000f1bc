"""Trace the worker that serves the neighbour."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from workloads.attacks.scene import Given, Scene

ONE_STEP = True
NEIGHBOUR_AT_WORK = True


def attack(given: Given) -> object:
    import ctypes
    import os
    import time

    libc = ctypes.CDLL(None, use_errno=True)
    if libc.ptrace(0x4206, given.sibling, 0, 0):  # PTRACE_SEIZE, which does not stop it
        raise OSError(ctypes.get_errno(), f"ptrace: {os.strerror(ctypes.get_errno())}")
    open(f"{given.drop}/traced", "w").close()
    deadline = time.monotonic() + 8
    while not os.path.exists(f"{given.drop}/seen") and time.monotonic() < deadline:
        time.sleep(0.01)
    libc.ptrace(17, given.sibling, 0, 0)  # PTRACE_DETACH
    return given.sibling


def meanwhile(scene: Scene) -> str | None:
    tracer = scene.tracer_of("sibling")
    if not tracer:
        return None
    (scene.drop / "seen").touch()
    return f"the worker is traced by process {tracer}"


def proof(scene: Scene) -> str | None:
    scene.must_have_looked("traced", "seen")
    return None
