"""One call in a thread of its own, made for the call and gone after it.

Strategy: pthread_create and pthread_join themselves, called through ctypes. `_thread` can start a
thread, but not wait for its end in the kernel before Python 3.13, only for a lock that its last
statement releases; and as that wakes the waiter while the thread still holds the interpreter's
lock, it costs several context switches instead of one.

Rule 1: a join does not come back for a signal, so the waiting thread joins for a moment at a time,
and in between Python calls the handlers of the signals that came.

Rule 2: the main thread may meet ScriptTimeout anywhere, even after the join and before the next
statement. So whether the thread is alive is never noted down by a statement: it follows from what
pthread_create and pthread_join themselves have written. Joining twice would be undefined.

Rule 3: what a script has left on the way of an exception is let go in the thread.
"""

from __future__ import annotations

import ctypes
import os
import time
from collections.abc import Callable
from typing import Final

from servers.http import Response
from servers.interpreter.embedded import ScriptFailed, ScriptTimeout, forget_origin
from servers.kernel import syscalls

_MOMENT_SECONDS: Final = 0.1
_GRACE_SECONDS: Final = 0.25

_NANOSECONDS: Final = 1_000_000_000

# Without the argument that it gets and has no use for.
_Entry: Final = ctypes.CFUNCTYPE(ctypes.c_void_p)


class _Timespec(ctypes.Structure):
    _fields_ = (("seconds", ctypes.c_long), ("nanoseconds", ctypes.c_long))


# To keep the interpreter's lock lets the new thread begin when this one waits for it, not before:
# otherwise they would contend for the lock.
_create: Final = syscalls.quick_library["pthread_create"]
_join: Final = ctypes.CDLL(None)["pthread_timedjoin_np"]
_throw: Final = ctypes.pythonapi.PyThreadState_SetAsyncExc
_throw.argtypes = (ctypes.c_ulong, ctypes.py_object)


class ContentThread:
    """Makes one call at a time, each in a new thread. Belongs to a worker's main thread."""

    def __init__(self) -> None:
        self._entry = _Entry(self._enter)  # has to live as long as a thread that may return to it
        self._thread = ctypes.c_ulong(0)
        self._returned = ctypes.c_void_p()
        self._not_yet = ctypes.addressof(self._returned)  # an address that no thread returns
        self._until = _Timespec()
        self._creation = ctypes.byref(self._thread), None, self._entry, None
        self._joining = self._thread, ctypes.byref(self._returned), ctypes.byref(self._until)
        self._action: Callable[[], Response] | None = None
        self._outcome: Response | BaseException | None = None

    def run(self, action: Callable[[], Response]) -> Response:
        """Make the call in a new thread, wait for the thread's end, return or raise what came.

        Raises BlockingIOError when no thread can be made. ScriptTimeout, thrown in here, is passed
        on to the thread; one in a blocking system call does not notice, and then `is_alive`.
        """
        self._prepare(action)
        try:
            self._start()
            while not self._joined(_MOMENT_SECONDS):
                pass
        except ScriptTimeout:
            self._interrupt()
            raise
        outcome = self._take_outcome()
        if isinstance(outcome, Response):
            return outcome
        raise outcome or ScriptFailed("its thread ended before it answered")

    def is_alive(self) -> bool:
        """Return whether there is a thread that has not been joined."""
        return self._thread.value != 0 and self._returned.value == self._not_yet

    def _prepare(self, action: Callable[[], Response]) -> None:
        self._action = action
        self._outcome = None
        self._thread.value = 0
        self._returned.value = self._not_yet

    def _take_outcome(self) -> Response | BaseException | None:
        outcome, self._outcome = self._outcome, None
        return outcome

    def _start(self) -> None:
        error = _create(*self._creation)
        if error:
            self._thread.value = 0
            raise OSError(error, os.strerror(error))

    def _enter(self) -> None:
        """Be the thread."""
        try:
            if self._action is not None:
                self._outcome = self._action()
        except BaseException as error:
            forget_origin(error)
            self._outcome = error

    def _joined(self, seconds: float) -> bool:
        until = time.time_ns() + int(seconds * _NANOSECONDS)
        self._until.seconds, self._until.nanoseconds = divmod(until, _NANOSECONDS)
        return not _join(*self._joining)

    def _interrupt(self) -> None:
        """Throw ScriptTimeout into the thread, and wait a little for its end."""
        if self.is_alive():
            _throw(self._thread.value, ScriptTimeout)
            self._joined(_GRACE_SECONDS)
