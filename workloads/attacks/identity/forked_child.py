"""Raise and switch in a forked child."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from workloads.attacks.scene import Given, Scene

ONE_STEP = True


def attack(given: Given) -> object:
    import ctypes
    import os
    import struct

    process = os.fork()
    if process == 0:
        status = 1
        try:
            libc = ctypes.CDLL(None, use_errno=True)
            both = 1 << 6 | 1 << 7
            header = struct.pack("=Ii", 0x20080522, 0)
            libc.capset(header, struct.pack("=6I", both, both, 0, 0, 0, 0))
            uid = given.neighbour_uid
            os.setresgid(uid, uid, uid)
            os.setresuid(uid, uid, uid)
            with open(f"{given.drop}/forked_child", "w") as file:
                file.write(given.token)
            status = 0
        except OSError as error:
            status = error.errno or 1
        finally:
            os._exit(status)
    status = os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])
    if status:
        raise OSError(status, f"in the child: {os.strerror(status)}")
    return "switched"


def proof(scene: Scene) -> str | None:
    return scene.gained_identity()
