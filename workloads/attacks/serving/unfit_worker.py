"""Leave a seccomp filter on the worker."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from workloads.attacks.scene import Given, Scene

HANDS = 2
TIMED = True
CONTROL = "careless_oversight"
PR_SET_NO_NEW_PRIVS = 38
PR_SET_SECCOMP = 22
SECCOMP_MODE_FILTER = 2
ERRNO_EACCES = 0x00050000 | 13
ALLOW = 0x7FFF0000


def attack(given: Given) -> object:
    import ctypes
    import os
    import platform
    import struct

    numbers = {"x86_64": 257, "aarch64": 56, "riscv64": 56}
    if platform.machine() not in numbers:
        raise given.nothing("the number of openat is not known here")

    def instruction(code: int, yes: int, no: int, value: int) -> bytes:
        return struct.pack("=HBBI", code, yes, no, value)

    # linux/filter.h: load the call's number; jump if it is openat; return a verdict.
    rows = instruction(0x20, 0, 0, 0) + instruction(0x15, 0, 1, numbers[platform.machine()])
    rows += instruction(0x06, 0, 0, ERRNO_EACCES) + instruction(0x06, 0, 0, ALLOW)

    class Program(ctypes.Structure):
        _fields_ = (("length", ctypes.c_ushort), ("rows", ctypes.c_char_p))

    program = Program(len(rows) // 8, rows)
    libc = ctypes.CDLL(None, use_errno=True)
    libc.prctl.argtypes = [ctypes.c_int, *[ctypes.c_ulong] * 4]
    libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    place = ctypes.addressof(program)
    if libc.prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, place, 0, 0):
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return "filtered"


def proof(scene: Scene) -> str | None:
    return scene.outage()
