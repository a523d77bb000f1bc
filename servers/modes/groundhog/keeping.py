"""The keeper, a small library in C: compiled at the server's start, loaded, and called.

What it does is in keeper.c beside this file. It is loaded before the starter is forked, so all
that come of that have it, and no worker needs a compiler or a file of the server's.
"""

from __future__ import annotations

import ctypes
import os
from pathlib import Path

from servers import host_checks
from servers.errors import Unavailable
from servers.kernel import syscalls

TYPE_CHECKING = False  # what mypy believes to be true, as that of `typing`
if TYPE_CHECKING:
    import mmap
    from typing import Final

_SOURCE: Final = Path(__file__).with_name("keeper.c")

RESTS: Final = 1
ANSWERS: Final = 2
LEARNS: Final = 3

STAYS: Final = 1
IS_LAST: Final = 2


class _Buffer(ctypes.Structure):  # Py_buffer, whose first member is what is asked for
    _fields_ = (("buf", ctypes.c_void_p), ("rest", ctypes.c_byte * 128))


_get_buffer: Final = ctypes.pythonapi.PyObject_GetBuffer
_get_buffer.argtypes = (ctypes.py_object, ctypes.c_void_p, ctypes.c_int)
_release_buffer: Final = ctypes.pythonapi.PyBuffer_Release
_release_buffer.argtypes = (ctypes.c_void_p,)


class Keeper:
    """The functions of the library: one for the keeper's process, the rest for the worker's."""

    def __init__(self, library: Path) -> None:
        """Load it. Keeps hold of the interpreter's lock in all calls: there is one thread."""
        loaded = ctypes.PyDLL(os.fspath(library))
        self._say = loaded.say
        self._say.argtypes = (ctypes.c_long, ctypes.c_char_p, ctypes.c_size_t, ctypes.c_long)
        self._say.restype = None
        self._submit = loaded.submit
        self._keep = loaded.keep
        self._keep.argtypes = (*[ctypes.c_int] * 3, *[ctypes.c_void_p] * 4)
        self._keep.restype = None
        loaded.rest.restype = None
        self.rest = loaded.rest
        """Wait for a request, in the worker; to this moment it is put back after each."""

    def keep(
        self,
        channel: int,
        socket: int,
        process: int,
        places: tuple[int, int, int],
        sizes: tuple[int, int, int, int],
    ) -> None:
        """Keep the worker `process` for good, and end with it: does not return.

        `channel` leads to the front, `socket` to the worker, which submits itself by it. `places`
        are addresses: of the worker's inbox, of the pool here, and of the same in the worker, which
        cannot write it. `sizes` are those of the inbox, the pool, the longest content inside a
        packet, and the longest answer.
        """
        sized = (ctypes.c_size_t * len(sizes))(*sizes)
        self._keep(channel, socket, process, *places, sized)

    def submit(self, socket: int) -> None:
        """Put this process into the hands of the keeper at the other end. Raises OSError."""
        if number := self._submit(socket):
            raise OSError(number, os.strerror(number))

    def answer(self, content: bytes, flags: int) -> None:
        """Give the answer, and be put back: it does not return."""
        self._say(ANSWERS, content, len(content), flags)

    def learn(self, path: bytes) -> None:
        """Ask to be told to compile a script, and be put back: it does not return."""
        self._say(LEARNS, path, len(path), 0)


def address_of(memory: mmap.mmap) -> int:
    """Return where it is mapped, be it for reading only."""
    view = _Buffer()
    _get_buffer(memory, ctypes.byref(view), 0)
    place: int = view.buf
    _release_buffer(ctypes.byref(view))
    return place


def load(directory: str) -> Keeper:
    """Compile the library into a directory of the server's own, and load it. Raises Unavailable."""
    import subprocess  # here, since the other modes do without it

    target = Path(directory, "keeper.so")
    command = [*host_checks.c_compiler(), "-std=gnu11", "-O2", "-Wall", "-Wextra", "-Werror"]
    result = subprocess.run(
        [*command, "-shared", "-fPIC", "-o", str(target), str(_SOURCE)],
        capture_output=True,
        text=True,
        check=False,
    )
    if result.returncode:
        raise Unavailable(
            f"{command[0]} cannot compile keeper.c: {result.stderr.strip()}",
            "install a C compiler and its headers: apt-get install gcc libc6-dev",
        )
    try:
        return Keeper(target)
    except OSError as error:
        raise Unavailable(
            f"the keeper cannot be loaded: {error}",
            "set TMPDIR to a directory on a file system without the option noexec",
        ) from error
