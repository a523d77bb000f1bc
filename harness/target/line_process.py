"""A child process that is spoken to by lines: commands go to its stdin, JSON comes from its stdout.

It ends when its stdin does: its whole life is between the two ends of one pipe.
"""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import IO, Any, Protocol

from harness.terminal import printable

_LOG_TAIL = 2000
_CHUNK = 64 * 1024
_LONGEST_WORD = 64 * 1024 * 1024
_END_S = 5.0
_LINE = 400

Message = dict[str, Any]


class Gone(Exception):
    """It cannot be spoken to any more: it has ended, or is about to."""


class Silent(Gone):
    """It has not said anything for so long that it is as good as gone."""


class Process(Protocol):
    """What is needed of a `subprocess.Popen`."""

    pid: int
    stdin: IO[str] | None
    stdout: IO[str] | None

    def poll(self) -> int | None:
        """Return its exit status, None while it lives."""

    def wait(self, timeout: float | None = None) -> int:
        """Wait for its end, return its exit status. Raises subprocess.TimeoutExpired."""

    def kill(self) -> None:
        """Kill it."""


class Speaking:
    """The process, started at once; its stderr is written to a file, from the file's beginning.

    A new file is for its owner alone: tenants' scripts write to it, and must not read the others'.

    `environment` is its whole environment, None for that of the caller. `start` takes what
    `subprocess.Popen` does.
    """

    def __init__(
        self,
        command: Sequence[str],
        log: Path,
        *,
        environment: Mapping[str, str] | None = None,
        cwd: str | None = None,
        own_session: bool = False,
        start: Callable[..., Process] = subprocess.Popen,
    ) -> None:
        self._log = log
        with open(log, "a", opener=_for_the_owner_alone) as stderr:
            self._process = start(
                command,
                env=None if environment is None else dict(environment),
                cwd=cwd,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=stderr,
                # As `environment` has it, whatever the caller's own streams are encoded in.
                encoding="utf-8",
                errors="surrogateescape",
                start_new_session=own_session,
            )
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._commands, self._words = self._process.stdin, self._process.stdout
        self._heard = b""

    @property
    def pid(self) -> int:
        """The number of the process."""
        return self._process.pid

    def tell(self, line: str) -> None:
        """Send it a command. Raises Gone."""
        try:
            self._commands.write(line + "\n")
            self._commands.flush()
        except BrokenPipeError:
            raise Gone from None

    def hear(self, within_s: float) -> Message:
        """Wait for its next word. Raises Gone, and Silent after so many seconds."""
        deadline = time.monotonic() + within_s
        while b"\n" not in self._heard:
            self._heard += self._next_part(deadline)
            if len(self._heard) > _LONGEST_WORD:
                raise Silent
        line, _, self._heard = self._heard.partition(b"\n")
        message: Message = json.loads(line)
        return message

    def _next_part(self, deadline: float) -> bytes:
        ready = select.poll()
        ready.register(self._words, select.POLLIN)
        if not ready.poll(1000 * max(0.0, deadline - time.monotonic())):
            raise Silent
        if not (part := os.read(self._words.fileno(), _CHUNK)):
            raise Gone
        return part

    def last_words(self) -> str:
        """Return the end of what it wrote to its log."""
        with open(self._log, "rb") as log:
            log.seek(max(0, log.seek(0, os.SEEK_END) - _LOG_TAIL))
            return log.read(_LOG_TAIL).decode(errors="replace").strip()

    def last_line(self) -> str:
        """Return the last line of its log, which of a traceback is the error; "" for no log."""
        lines = self.last_words().splitlines()
        return printable(lines[-1][-_LINE:]) if lines else ""

    def status(self) -> int:
        """Wait for its end, which should be near, and return its exit status."""
        try:
            return self._process.wait(_END_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            return self._process.wait()

    def has_ended(self) -> bool:
        """Return whether it has ended."""
        return self._process.poll() is not None

    def fate(self) -> str:
        """Say what became of it, which is gone or silent: the signal that killed it, or so."""
        try:
            status = self._process.wait(_END_S)
        except subprocess.TimeoutExpired:
            return "it does not answer"
        # Who waits for a server says by 128 and the signal how that ended.
        number = -status if status < 0 else status - 128
        if number in set(signal.Signals):
            return f"killed by {signal.Signals(number).name}"
        return f"exit status {status}"

    def kill(self) -> None:
        """Kill it, without waiting for its end."""
        self._process.kill()

    def stop(self, patience_s: float) -> None:
        """End it: politely by the end of its commands, after so many seconds by a signal."""
        try:
            self._commands.close()
            self._process.wait(patience_s)
        except (subprocess.TimeoutExpired, BrokenPipeError):
            self._process.kill()
            self._process.wait()
        finally:
            self._words.close()


def _for_the_owner_alone(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_TRUNC, 0o600)
