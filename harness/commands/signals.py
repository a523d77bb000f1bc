"""Signals as an exception, so that every `with` on the way out cleans up."""

from __future__ import annotations

import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import TYPE_CHECKING, NoReturn

if TYPE_CHECKING:
    from sys import UnraisableHookArgs

_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_MOMENT_S = 0.01


class Interrupted(BaseException):
    """Somebody wants isobench to end; `number` is the signal that said so."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number


def default_child_signals() -> None:
    """Set SIGCHLD to its default, and block no signal, whatever the parent process had set.

    Both are inherited (signal(7)). Where SIGCHLD is ignored a child's exit status is lost, and
    every command seems to have succeeded.
    """
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_SETMASK, ())


@contextmanager
def interruptible() -> Iterator[None]:
    """Raise Interrupted at the first SIGINT, SIGTERM or SIGHUP, and ignore the following ones.

    A second one must not break off the cleaning up that the first has begun. Signals that were
    ignored from the start stay so: that is how nohup(1) asks for it.
    """

    def stop(number: int, _frame: FrameType | None) -> NoReturn:
        for other in _SIGNALS:
            signal.signal(other, signal.SIG_IGN)
        raise Interrupted(number)

    heeded = [number for number in _SIGNALS if signal.getsignal(number) != signal.SIG_IGN]
    before = {number: signal.signal(number, stop) for number in heeded}
    try:
        with _raised_again():
            yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def _raised_again() -> Iterator[None]:
    """Raise Interrupted once more, in a moment, where it was raised in vain.

    Finalizers and the callbacks of weak references, of which each import has some, let no
    exception out (sys.unraisablehook).
    """

    def heed(unraisable: UnraisableHookArgs) -> None:
        interrupted = unraisable.exc_value
        if not isinstance(interrupted, Interrupted):
            before(unraisable)
            return
        number = interrupted.number
        signal.signal(signal.SIGALRM, lambda *_: _raise(number))
        signal.setitimer(signal.ITIMER_REAL, _MOMENT_S)

    before, sys.unraisablehook = sys.unraisablehook, heed
    alarm = signal.getsignal(signal.SIGALRM)
    try:
        yield
    finally:
        sys.unraisablehook = before
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, alarm)


def _raise(number: int) -> NoReturn:
    raise Interrupted(number)
