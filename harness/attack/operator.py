"""The operator of a scene: who has a terminal and keys, and starts a server from there.

Run as a program, with the path of a terminal and a command: takes the terminal for its controlling
one, puts a key into a new session keyring, and becomes the command, as a login shell starts it.
"""

from __future__ import annotations

import ctypes
import os
import sys
from contextlib import suppress
from pathlib import Path

KEY = "isobench:operator"
"""How the key is described (keyctl(2))."""

_PLANTED = "ISOBENCH_OPERATORS_KEY"
_JOIN_SESSION_KEYRING = 1
_SESSION_KEYRING = -3
_NUMBERS = {"x86_64": (248, 250)}  # of add_key and keyctl; asm-generic/unistd.h has the others
_OTHERS = (217, 219)


class Terminal:
    """A terminal at which the operator sits; a context."""

    def __init__(self) -> None:
        self._operators, self._programs = os.openpty()
        os.set_blocking(self._operators, False)
        os.set_blocking(self._programs, False)
        self.path = os.ttyname(self._programs)

    def __enter__(self) -> Terminal:
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self._operators)
        os.close(self._programs)

    def type(self, line: str) -> None:
        """Type a line, for whoever reads first."""
        os.write(self._operators, f"{line}\n".encode())

    def shown(self) -> bytes:
        """Return what the terminal has shown since this was asked last."""
        return _all_of(self._operators)

    def typed(self) -> bytes:
        """Return the lines that a shell at this terminal would read now."""
        return _all_of(self._programs)


def launcher(terminal: Terminal) -> list[str]:
    """Return the start of a command that is started as by an operator."""
    return [sys.executable, "-IS", str(Path(__file__)), terminal.path]


def planted(key: str) -> dict[str, str]:
    """Return the environment that tells the program what its key holds; it hands that not on."""
    return {_PLANTED: key}


def _all_of(descriptor: int) -> bytes:
    found = b""
    with suppress(BlockingIOError):
        while part := os.read(descriptor, 4096):
            found += part
    return found


def main() -> None:
    """Take the terminal and the key, and become the command."""
    terminal, *command = sys.argv[1:]
    os.close(os.open(terminal, os.O_RDWR))  # the controlling one, since we lead a session: open(2)
    _put_key(os.environ.pop(_PLANTED, ""))
    os.execvp(command[0], command)


def _put_key(secret: str) -> None:
    add_key, keyctl = _NUMBERS.get(os.uname().machine, _OTHERS)
    system_call = ctypes.CDLL(None).syscall
    if system_call(keyctl, _JOIN_SESSION_KEYRING, None) > 0:
        size = ctypes.c_size_t(len(secret))
        system_call(add_key, b"user", KEY.encode(), secret.encode(), size, _SESSION_KEYRING)


if __name__ == "__main__":
    main()
