"""Where the threads that measure interleaved targets wait for each other."""

from __future__ import annotations

import threading
import time


class Barrier:
    """A meeting point of some threads, any of which may leave for good.

    Unlike `threading.Barrier`, a thread that fails neither blocks nor breaks it for the others.
    """

    def __init__(self, parties: int) -> None:
        self._parties = parties
        self._waiting = 0
        self._turn = 0
        self._met_at = 0.0
        self._changed = threading.Condition()

    def meet(self) -> float:
        """Wait for all who have not left; return when they met, the same to all.

        In seconds on CLOCK_MONOTONIC.
        """
        with self._changed:
            self._waiting += 1
            turn = self._turn
            if not self._complete():
                self._changed.wait_for(lambda: self._turn != turn)
            return self._met_at

    def leave(self) -> None:
        """Wait no more, and be waited for no more."""
        with self._changed:
            self._parties -= 1
            self._complete()

    def _complete(self) -> bool:
        if self._waiting < self._parties or not self._waiting:
            return False
        self._waiting = 0
        self._turn += 1
        self._met_at = time.monotonic()
        self._changed.notify_all()
        return True
