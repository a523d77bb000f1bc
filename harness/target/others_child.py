"""A process that another process has forked for us, as a `subprocess.Popen` of it would be."""

from __future__ import annotations

import os
import select
import signal
import subprocess
from collections.abc import Callable
from contextlib import suppress
from threading import Lock
from typing import IO


class OthersChild:
    """Fulfils `line_process.Process`. Its parent alone is told by the kernel how it has ended.

    `commands` and `words` are descriptors of our ends of its standard input and output. `sign` is
    one that becomes readable when it has ended, or its parent, and `status` then returns its exit
    status, which it is asked for once. `name` says what it is.
    """

    def __init__(
        self,
        name: str,
        pid: int,
        commands: int,
        words: int,
        sign: int,
        status: Callable[[], int],
    ) -> None:
        self.pid = pid
        self.stdin: IO[str] | None = _text(commands, "w")
        self.stdout: IO[str] | None = _text(words, "r")
        self._name = name
        self._sign = sign
        self._ask = status
        self._asking = Lock()
        self._status: int | None = None

    def poll(self) -> int | None:
        """Return its exit status, None while it lives."""
        return self._ended(0.0)

    def wait(self, timeout: float | None = None) -> int:
        """Wait for its end, return its exit status. Raises subprocess.TimeoutExpired."""
        status = self._ended(timeout)
        if status is None:
            raise subprocess.TimeoutExpired(self._name, timeout or 0.0)
        return status

    def kill(self) -> None:
        """Kill it."""
        if self.poll() is None:
            with suppress(ProcessLookupError):
                os.kill(self.pid, signal.SIGKILL)

    def _ended(self, within_s: float | None) -> int | None:
        if self._status is None and is_readable(self._sign, within_s):
            with self._asking:  # several threads may wait
                if self._status is None:
                    self._status = self._ask()
        return self._status


def is_readable(descriptor: int, within_s: float | None) -> bool:
    """Return whether something can be read, or is within so many seconds; None: wait for it."""
    ready = select.poll()
    ready.register(descriptor, select.POLLIN)
    return bool(ready.poll(None if within_s is None else 1000 * within_s))


def _text(descriptor: int, mode: str) -> IO[str]:
    return os.fdopen(descriptor, mode, encoding="utf-8", errors="surrogateescape")
