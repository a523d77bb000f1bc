"""Starts a seat's servers: a program that has loaded once what each of them is prepared with.

Most of what it takes to start a server is for an interpreter to load modules by which it reads a
command line and looks at the host, before it executes the server itself. An attack that leaves
something behind takes a server of its own, and so this process forks for each what it has loaded.
The server is executed all the same, and finds nothing in its memory that it would not find else.

It is also the host on which a server can leave something: it has an ipc namespace, and its own
/dev/shm, /tmp and /var/tmp, in which all servers start. What a double or a bad mode leaves there is
gone with this process, however the harness ends.

Run as a program by `harness.attack.seats.operator`, with the descriptor of a socket from which it
reads orders, and paths that servers need wherever they are. It forks for an order a process that
sits down at a terminal, as an operator does: makes it the controlling one, puts a key into a new
session keyring and becomes a program of the servers. It tells the process's id and, when that has
ended, its exit status; one server comes after the other.
"""

from __future__ import annotations

import ctypes
import gc
import json
import os
import runpy
import socket
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

KEY: Final = "isobench:operator"
"""How the key is described (keyctl(2))."""

LARGEST: Final = 65536
"""Bytes of an order."""

_JOIN_SESSION_KEYRING: Final = 1
_SESSION_KEYRING: Final = -3
_NUMBERS: Final = {"x86_64": (248, 250)}  # of add_key and keyctl; asm-generic/unistd.h has others
_OTHERS: Final = (217, 219)
_STREAMS: Final = 3
_PRELOADED: Final = "servers.__main__"
_TEMPORARY: Final = ("/tmp", "/var/tmp")


def main() -> None:
    """Start servers until nobody orders any; in the process of each, become it."""
    line = socket.socket(fileno=int(sys.argv[1]))
    with suppress(Exception):  # whoever becomes a server says what is wrong
        __import__(_PRELOADED)
        _part_from_the_host([Path(path) for path in sys.argv[2:]])
    gc.freeze()  # no collection looks at it in the forked process, which would copy it
    while order := _next_order(line):
        words, streams = order
        process = os.fork()
        if process == 0:
            _sit_down(words, streams)
            _become(words["command"])
            return
        for descriptor in streams:
            os.close(descriptor)
        line.send(str(process).encode())
        line.send(str(os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])).encode())


def _part_from_the_host(visible: Sequence[Path]) -> None:
    """Have an own place for all that outlives its makers, where the host allows namespaces."""
    from servers import command_line
    from servers.front.startup import containment
    from servers.kernel import syscalls

    syscalls.unshare(syscalls.CLONE_NEWNS | containment.ipc_namespace())
    syscalls.mount("none", "/", None, syscalls.MS_REC | syscalls.MS_PRIVATE)
    needed = [*command_line.own_files(), Path(sys.prefix), *visible]
    containment.hide_shared_memory(needed)
    for place in _TEMPORARY:
        containment.hide(Path(place), needed)


def _next_order(line: socket.socket) -> tuple[dict[str, Any], list[int]] | None:
    """Return what is to be started, with the three standard streams; None: no more."""
    message, streams, _, _ = socket.recv_fds(line, LARGEST, _STREAMS)
    return (json.loads(message), streams) if message else None


def _sit_down(words: dict[str, Any], streams: list[int]) -> None:
    """Be a new process of an operator's: at a terminal, with a key, and with nothing else open."""
    os.setsid()
    os.close(os.open(words["terminal"], os.O_RDWR))  # the controlling one: open(2)
    for number, descriptor in enumerate(streams):
        os.dup2(descriptor, number)
    os.closerange(_STREAMS, os.sysconf("SC_OPEN_MAX"))
    os.environ.clear()
    os.environ.update(words["environment"])
    put_key(words["key"])


def put_key(secret: str) -> None:
    """Put a key into a new session keyring, where the kernel has any."""
    add_key, keyctl = _NUMBERS.get(os.uname().machine, _OTHERS)
    system_call = ctypes.CDLL(None).syscall
    if system_call(keyctl, _JOIN_SESSION_KEYRING, None) > 0:
        size = ctypes.c_size_t(len(secret))
        system_call(add_key, b"user", KEY.encode(), secret.encode(), size, _SESSION_KEYRING)


def _become(command: list[str]) -> None:
    """Be `python -m PROGRAM WORD...`, of which `command` has what follows `-m`."""
    sys.modules.pop(_PRELOADED, None)  # it is executed anew, of what it has loaded
    sys.argv = command
    status: object = 0
    try:
        runpy.run_module(command[0], run_name="__main__", alter_sys=True)
    except SystemExit as wanted:
        status = wanted.code or 0
    sys.stdout.flush()
    if isinstance(status, int):
        os._exit(status)  # without the interpreter's own end, which is not little work
    sys.exit(str(status))


if __name__ == "__main__":
    main()
