"""Have the script's own end held back by a tracer."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from workloads.attacks.scene import Given, Scene

HANDS = 2
TIMED = True
MAY_BE_ENDED = True
CONTROL = "careless_oversight"
PTRACE_SEIZE = 0x4206
PR_SET_PTRACER = 0x59616D61


def attack(given: Given) -> object:
    import ctypes
    import os
    import signal
    import time

    libc = ctypes.CDLL(None, use_errno=True)
    libc.ptrace.argtypes = [ctypes.c_long] * 4
    libc.prctl.argtypes = [ctypes.c_int, *[ctypes.c_ulong] * 4]
    libc.prctl(PR_SET_PTRACER, 2**64 - 1, 0, 0, 0)
    target = os.getpid()
    told, tell = os.pipe()
    if os.fork() == 0:
        try:
            os.closerange(0, tell)
            os.closerange(tell + 1, 4096)
            signal.alarm(30)
            if libc.ptrace(PTRACE_SEIZE, target, 0, 0) == 0:
                os.write(tell, b"h")
                time.sleep(30)
        finally:
            os._exit(0)
    os.close(tell)
    if os.read(told, 1) != b"h":
        raise PermissionError("its child may not trace it")
    os._exit(0)


def proof(scene: Scene) -> str | None:
    return scene.outage(watched_s=1.0)
