"""A child process that is spoken to by lines: commands go to its stdin, JSON comes from its stdout.

It ends when its stdin does: its whole life is between the two ends of one pipe.
"""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from harness.terminal import printable

_LOG_TAIL = 2000
_LINE = 400

Message = dict[str, Any]


class Gone(Exception):
    """It cannot be spoken to any more: it has ended, or is about to."""


class Speaking:
    """The process, started at once; its stderr is written to a file, from the file's beginning.

    A new file is for its owner alone: tenants' scripts write to it, and must not read the others'.

    `environment` is its whole environment, None for that of the caller.
    """

    def __init__(
        self,
        command: Sequence[str],
        log: Path,
        *,
        environment: Mapping[str, str] | None = None,
        cwd: str | None = None,
        own_session: bool = False,
    ) -> None:
        self._log = log
        with open(log, "w", opener=_for_the_owner_alone) as stderr:
            self._process = subprocess.Popen(
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

    def hear(self) -> Message:
        """Wait for its next word. Raises Gone."""
        line = self._words.readline()
        if not line:
            raise Gone
        message: Message = json.loads(line)
        return message

    def last_words(self) -> str:
        """Return the end of what it wrote to its log."""
        return self._log.read_text(errors="replace")[-_LOG_TAIL:].strip()

    def has_ended(self) -> bool:
        """Return whether it has ended."""
        return self._process.poll() is not None

    def last_line(self) -> str:
        """Return the last line of its log, which of a traceback is the error; "" for no log."""
        lines = self.last_words().splitlines()
        return printable(lines[-1][-_LINE:]) if lines else ""

    def status(self) -> int:
        """Wait for its end, and return its exit status."""
        return self._process.wait()

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
    return os.open(path, flags, 0o600)
