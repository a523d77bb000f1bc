"""Wakes a greenlet at an exact time.

gevent's own timers wait in epoll_wait(2), whose time-outs are whole milliseconds rounded up: seen
here, `gevent.sleep` comes up to 1 ms late, as long as a quick server takes for a request. A timer
that is a descriptor (timerfd_create(2)) ends the same wait at once, 0.03 to 0.1 ms late here, and
needs no spinning, which would take the processor from other users and from what is being measured.
"""

import ctypes
import os
import time
from typing import Any

import gevent

CLOCK_MONOTONIC = 1  # linux/time.h
TFD_TIMER_ABSTIME = 1  # linux/timerfd.h
TFD_FLAGS = os.O_NONBLOCK | os.O_CLOEXEC
READ = 1  # the event loop's name for it (libev's EV_READ)

# Python has these from 3.13 on.
_libc = ctypes.CDLL(None, use_errno=True)


class _Timespec(ctypes.Structure):
    _fields_ = (("seconds", ctypes.c_long), ("nanoseconds", ctypes.c_long))


class _Itimerspec(ctypes.Structure):
    _fields_ = (("interval", _Timespec), ("value", _Timespec))


class Alarm:
    """One greenlet's alarm clock. Close it after use."""

    def __init__(self) -> None:
        self._descriptor: int = _libc.timerfd_create(CLOCK_MONOTONIC, TFD_FLAGS)
        if self._descriptor < 0:
            number = ctypes.get_errno()
            raise OSError(number, os.strerror(number))
        self._hub: Any = gevent.get_hub()
        self._rung = self._hub.loop.io(self._descriptor, READ)
        self._setting = _Itimerspec()

    def wait_until(self, moment: float) -> None:
        """Let other greenlets run until a moment on CLOCK_MONOTONIC (s); none that is past."""
        if moment <= time.monotonic():
            return
        value = self._setting.value
        value.seconds, value.nanoseconds = divmod(int(moment * 1e9), 1_000_000_000)
        # Setting it also forgets that it rang before.
        _libc.timerfd_settime(
            self._descriptor, TFD_TIMER_ABSTIME, ctypes.byref(self._setting), None
        )
        self._rung.start(gevent.getcurrent().switch)
        try:
            self._hub.switch()
        finally:
            self._rung.stop()

    def close(self) -> None:
        """Give the descriptor back."""
        # The watcher goes first: a watcher of a closed descriptor would watch the next to get
        # its number.
        self._rung.close()
        os.close(self._descriptor)
