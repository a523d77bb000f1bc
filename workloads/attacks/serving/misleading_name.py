"""Leave a process whose name looks like a line of its status."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from workloads.attacks.scene import Given, Scene

TIMED = True
CONTROL = "careless_oversight"
PR_SET_NAME = 15


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
                libc.prctl(PR_SET_NAME, b"voluntary_ctxt", 0, 0, 0)
                os.write(tell, b"n")
                time.sleep(20)
            finally:
                os._exit(0)
        os._exit(0)
    os.wait()
    os.close(tell)
    return os.read(told, 1)


def proof(scene: Scene) -> str | None:
    try:
        scene.served()  # for which the server adds up what all of its processes have used
    except Exception as error:
        return scene.outage() or f"the server could not say what it has used: {error}"
    return scene.outage()
