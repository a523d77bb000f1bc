"""The keeper, a small library in C: compiled at the server's start, loaded, and called.

What it does is in keeper.c beside this file. It is loaded before the starter is forked, so all
that come of that have it, and no worker needs a compiler or a file of the server's.
"""

from __future__ import annotations

import ctypes
import os
from pathlib import Path

from servers import c_programs
from servers.errors import Unavailable

TYPE_CHECKING = False  # what mypy believes to be true, as that of `typing`
if TYPE_CHECKING:
    import mmap
    from typing import Final

_SOURCE: Final = Path(__file__).with_name("keeper.c")
_FLAGS: Final = ("-std=gnu11", "-O2", "-Wall", "-Wextra", "-Werror", "-shared", "-fPIC")

RESTS: Final = 1
ANSWERS: Final = 2
ASKS_BACK: Final = 3

_TOO_LONG: Final = -2


class _Buffer(ctypes.Structure):  # Py_buffer, whose first member is what is asked for
    _fields_ = (("buf", ctypes.c_void_p), ("rest", ctypes.c_byte * 128))


_get_buffer: Final = ctypes.pythonapi.PyObject_GetBuffer
_get_buffer.argtypes = (ctypes.py_object, ctypes.c_void_p, ctypes.c_int)
_release_buffer: Final = ctypes.pythonapi.PyBuffer_Release
_release_buffer.argtypes = (ctypes.c_void_p,)


class Ended(Exception):
    """The worker has ended, or says what it should not: nothing can be expected of it any more."""


class Keeper:
    """The functions of the library: some for the keeper's process, some for the worker's.

    All keep hold of the interpreter's lock: there is one thread.
    """

    def __init__(self, library: Path) -> None:
        """Load it. Raises OSError."""
        loaded = ctypes.PyDLL(os.fspath(library))
        self._begin = loaded.begin
        self._begin.argtypes = (*[ctypes.c_int] * 4, *[ctypes.c_void_p] * 4)
        self._have_done = loaded.have_done
        self._have_done.argtypes = (ctypes.c_char_p, ctypes.c_size_t)
        self._last_words = loaded.last_words
        self._last_words.restype = ctypes.c_void_p
        self._length = ctypes.c_size_t()
        self._serve = loaded.serve
        self._take_request = loaded.take_request
        self._ask = loaded.ask
        self._send_answer = loaded.send_answer
        self._number = loaded.number_of_request
        self._number.restype = ctypes.c_uint32
        self._is_doomed = loaded.is_doomed
        self._put_back = loaded.put_back
        self._put_back.restype = None
        self._keep_rest = loaded.keep_rest
        self._keep_rest.restype = None
        self._submit = loaded.submit
        self._say = loaded.say
        self._say.argtypes = (ctypes.c_long, ctypes.c_char_p, ctypes.c_size_t)
        self._say.restype = None
        self.rest = loaded.rest
        """In the worker: wait to be asked. To this moment it is put back."""
        self.rest.restype = None

    # In the keeper

    def begin(
        self,
        descriptors: tuple[int, int],
        processes: tuple[int, int],
        places: tuple[int, int, int],
        sizes: tuple[int, int, int],
    ) -> None:
        """Begin to keep a worker; returns when it rests. Raises Ended.

        `descriptors` are the channel to the front and a socket by which the worker submits itself;
        `processes` are the worker and its reference. `places` are addresses: of the worker's inbox,
        of the pool here, and of the same in the worker, which cannot write it; `sizes` those of the
        inbox, the pool and the longest answer, in bytes.
        """
        sized = (ctypes.c_size_t * len(sizes))(*sizes)
        if not self._begin(*descriptors, *processes, *places, sized):
            raise Ended

    def serve(self) -> int:
        """Serve requests until the worker says something else than a short answer; return what.

        A negative number is the end of the channel, or of what this worker can do. Raises Ended.
        """
        return self._heard(self._serve())

    def take_request(self) -> bool:
        """Wait for a request and take it; False at the end of the channel. Raises Ended."""
        taken: int = self._take_request()
        if not taken:
            raise Ended
        return taken > 0

    def ask(self) -> int:
        """Ask the worker, which was put back, what was taken; return what it says. Raises Ended.

        That, and what it says it of, is not to be trusted.
        """
        return self._heard(self._ask())

    def have_done(self, message: bytes) -> int:
        """Ask the worker, which was put back, something of our own; as `ask`."""
        return self._heard(self._have_done(message, len(message)))

    @staticmethod
    def _heard(said: int) -> int:
        if not said:
            raise Ended
        return said

    def words(self) -> bytes:
        """Return what the worker has said it of. Raises Ended."""
        place = self._last_words(ctypes.byref(self._length))
        if not place:
            raise Ended
        return ctypes.string_at(place, self._length.value)

    def send_answer(self) -> bool | None:
        """Answer with the worker's words; return whether it can be put back. Raises Ended.

        None: they are too long for a packet, and nothing was sent.
        """
        sent: int = self._send_answer()
        if sent == _TOO_LONG:
            return None
        if sent < 0:
            raise Ended
        return bool(sent)

    def number(self) -> int:
        """Return the number of the request that was taken."""
        number: int = self._number()
        return number

    def is_doomed(self) -> bool:
        """Return whether the worker has done what cannot be undone."""
        return bool(self._is_doomed())

    def put_back(self) -> None:
        """Put the worker back. Ends this process where that fails, and with it the worker."""
        self._put_back()

    def keep_rest(self) -> None:
        """Have the worker, which rests, put back into this state from now on."""
        self._keep_rest()

    # In the worker

    def submit(self, socket: int) -> None:
        """Put this process into the hands of the keeper at the other end. Raises OSError."""
        if number := self._submit(socket):
            raise OSError(number, os.strerror(number))

    def say(self, what: int, content: bytes) -> None:
        """Say something, and be put back: it does not return."""
        self._say(what, content, len(content))


def address_of(memory: mmap.mmap) -> int:
    """Return where it is mapped, be it for reading only."""
    view = _Buffer()
    _get_buffer(memory, ctypes.byref(view), 0)
    place: int = view.buf
    _release_buffer(ctypes.byref(view))
    return place


def load(directory: str, programs: str = "") -> Keeper:
    """Load the library; compile it first, unless it is kept. Raises Unavailable.

    It is kept in `programs`, or for this server alone in `directory`, which is its own.
    """
    source = os.fspath(_SOURCE)
    target = c_programs.place(programs or directory, "keeper", [source], _FLAGS)
    kept = c_programs.opened(target) if programs else None
    if kept is None:
        c_programs.compile_to(target, source, _FLAGS)
    else:
        os.close(kept)
    try:
        return Keeper(Path(target))
    except OSError as error:
        raise Unavailable(
            f"the keeper cannot be loaded: {error}",
            "set TMPDIR to a directory on a file system without the option noexec",
        ) from error
