"""Raise and switch in a new thread that the script starts."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from workloads.attacks.scene import Given, Scene


def attack(given: Given) -> object:
    import ctypes
    import os
    import platform
    import struct
    import threading

    old, new = (126, 119, 117), (91, 149, 147)
    capset, setresgid, setresuid = old if platform.machine() == "x86_64" else new
    refusals: list[Exception] = []

    def switch() -> None:
        try:
            make_switch()
        except OSError as error:
            refusals.append(error)

    def make_switch() -> None:
        libc = ctypes.CDLL(None, use_errno=True)
        both = 1 << 6 | 1 << 7
        header = struct.pack("=Ii", 0x20080522, 0)
        libc.syscall(ctypes.c_long(capset), header, struct.pack("=6I", both, both, 0, 0, 0, 0))
        uid = ctypes.c_uint(given.neighbour_uid)
        for number in (setresgid, setresuid):
            if libc.syscall(ctypes.c_long(number), uid, uid, uid):
                raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
        os.close(os.open(f"{given.drop}/thread", os.O_CREAT | os.O_WRONLY, 0o644))

    thread = threading.Thread(target=switch)
    thread.start()
    thread.join()
    if refusals:
        raise refusals[0]
    return "switched"


def proof(scene: Scene) -> str | None:
    return scene.gained_identity()
