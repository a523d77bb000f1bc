"""Get all capabilities in a user namespace of one's own."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from workloads.attacks.scene import Given, Scene

ONE_STEP = True


def attack(given: Given) -> object:
    import ctypes
    import os
    import time

    process = os.fork()
    if process == 0:
        status = 1
        try:
            libc = ctypes.CDLL(None, use_errno=True)
            if libc.unshare(0x10000000) == 0:  # CLONE_NEWUSER
                open(f"{given.drop}/inside", "w").close()
                deadline = time.monotonic() + 8
                while not os.path.exists(f"{given.drop}/seen") and time.monotonic() < deadline:
                    time.sleep(0.01)
                status = 0
            else:
                status = ctypes.get_errno()
        finally:
            os._exit(status)
    status = os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])
    if status:
        raise OSError(status, f"unshare: {os.strerror(status)}")
    return "inside"


def meanwhile(scene: Scene) -> str | None:
    if not (scene.drop / "inside").exists():
        return None
    evidence = None
    for pid in scene.processes():
        if int(scene.status_of(pid).get("CapEff", "0"), 16) & 1 << 21:  # CAP_SYS_ADMIN
            own = os.readlink(f"/proc/{pid}/ns/user")
            if own != os.readlink("/proc/self/ns/user") and own not in scene.user_namespaces:
                evidence = f"process {pid} has CAP_SYS_ADMIN in {own}"
    (scene.drop / "seen").touch()
    return evidence


def proof(scene: Scene) -> str | None:
    scene.must_have_looked("inside", "seen")
    return None
