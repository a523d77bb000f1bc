"""Forwards the standard error of a server's processes to the operator, as printable lines.

Scripts inherit the server's standard error. If that were the operator's terminal, a script could
read what is typed there and send it escape sequences. So scripts get the write end of a pipe, and
the process outside of the server's namespaces forwards what it reads, line by line, with control
characters escaped.

A regular file that is open for writing only needs no relay, and the server gets it directly.
"""

from __future__ import annotations

import os
import select
import stat
import sys
from collections.abc import Iterator
from fcntl import F_GETFL, fcntl
from typing import Final

_STANDARD_ERROR: Final = 2
_CHUNK: Final = 64 * 1024
_LONGEST_LINE: Final = 4000
_LOOK_SECONDS: Final = 0.25
_PATIENCE_MS: Final = 100
_MOST_LEFT: Final = 1024 * 1024


def is_needed() -> bool:
    """Return whether standard error is anything but a regular file open for writing only."""
    try:
        kind = os.fstat(_STANDARD_ERROR).st_mode
        access = fcntl(_STANDARD_ERROR, F_GETFL) & os.O_ACCMODE
    except OSError:
        return True
    return not (stat.S_ISREG(kind) and access == os.O_WRONLY)


class Relay:
    """Forwards the standard error of a child of this process."""

    def __init__(self) -> None:
        self._from, self._to = os.pipe2(os.O_CLOEXEC)
        self._lines = Lines()
        self._shown = Shown()

    def enter(self) -> None:
        """Make the pipe this process's standard error. Called in the child."""
        os.dup2(self._to, _STANDARD_ERROR)
        os.close(self._to)
        os.close(self._from)

    def wait(self, child: int) -> int:
        """Forward output until `child` has ended; return its wait status (waitpid(2))."""
        os.close(self._to)
        os.set_blocking(self._from, False)
        while True:
            # What the child has left running may hold the other end, so that it never ends.
            ended, status = os.waitpid(child, os.WNOHANG)
            if ended:
                self._pass_on(_MOST_LEFT)
                if rest := self._lines.rest():
                    self._shown.add(rest)
                return status
            if select.select([self._from], [], [], _LOOK_SECONDS)[0] and not self._pass_on(_CHUNK):
                return os.waitpid(child, 0)[1]  # nobody is left who could say anything

    def _pass_on(self, most: int) -> bool:
        """Pass on `most` bytes or what there is; return False when nothing can come any more."""
        while most > 0:
            try:
                chunk = os.read(self._from, _CHUNK)
            except BlockingIOError:
                return True
            if not chunk:
                return False
            most -= len(chunk)
            for line in self._lines.of(chunk):
                self._shown.add(line)
        return True


class Lines:
    """Assembles chunks of bytes into lines that are safe to send to a terminal. Pure."""

    def __init__(self) -> None:
        self._begun = b""

    def of(self, chunk: bytes) -> Iterator[str]:
        """Yield the lines that `chunk` completes; lines longer than _LONGEST_LINE are split."""
        *lines, self._begun = (self._begun + chunk).split(b"\n")
        for line in lines:
            yield from _pieces(line)
        if len(self._begun) >= _LONGEST_LINE:
            begun, self._begun = self._begun, b""
            yield from _pieces(begun)

    def rest(self) -> str:
        """Return the last, incomplete line, "" if there is none."""
        begun, self._begun = self._begun, b""
        return "".join(_pieces(begun)) if begun else ""


def _pieces(line: bytes) -> Iterator[str]:
    text = printable(line.removesuffix(b"\r").decode("utf-8", "backslashreplace"))
    for start in range(0, len(text) or 1, _LONGEST_LINE):
        yield text[start : start + _LONGEST_LINE] + "\n"


def printable(text: str) -> str:
    """Return a text in which each unprintable character but the tab is escaped.

    Unprintable are control characters, C1 included, and those that change the text direction.
    """
    if text.isprintable():
        return text
    return "".join(
        one if one.isprintable() or one == "\t" else one.encode("unicode_escape").decode()
        for one in text
    )


class Shown:
    """This process's standard error, written without blocking: a terminal may be stopped."""

    def __init__(self) -> None:
        self._file = _opened_anew()
        self._encoding = sys.stderr.encoding
        self._pending = b""
        self._left_out = 0
        self._is_stuck = False
        self._poll = select.poll()
        self._poll.register(self._file, select.POLLOUT)

    def add(self, line: str) -> None:
        """Write a line, or only count it while earlier output is still pending."""
        if not self._is_shown():
            self._left_out += 1
            return
        if self._left_out:
            line = f"({self._left_out} lines left out)\n{line}"
            self._left_out = 0
        self._pending = line.encode(self._encoding, "backslashreplace")
        self._is_shown()

    def _is_shown(self) -> bool:
        """Write pending output; return whether all of it was written."""
        while self._pending:
            try:
                self._pending = self._pending[os.write(self._file, self._pending) :]
                self._is_stuck = False
            except BlockingIOError:
                self._is_stuck = not self._poll.poll(0 if self._is_stuck else _PATIENCE_MS)
                if self._is_stuck:
                    return False
            except OSError:
                self._pending = b""  # the terminal is gone: the server need not be
        return True


def _opened_anew() -> int:
    """Return a non-blocking descriptor for standard error, without affecting other processes.

    O_NONBLOCK belongs to the open file description, which is shared with whoever started us. A
    terminal or a pipe can be reopened for one of our own; any other file is used as it is.
    """
    kind = os.fstat(_STANDARD_ERROR).st_mode
    if not (stat.S_ISCHR(kind) or stat.S_ISFIFO(kind)):
        return _STANDARD_ERROR
    flags = os.O_WRONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
    try:
        return os.open(f"/proc/self/fd/{_STANDARD_ERROR}", flags)
    except OSError:
        return _STANDARD_ERROR
