"""The terminal, or whatever the output goes to: the one place that decides what it is sent.

What a user, a file system or a tenant's script named is text and nothing else: no markup of rich,
no emoji code, no command to the terminal. So strings are written as they are, and what is to have
a style is a `Text`.
"""

from __future__ import annotations

import codecs
import os
import sys
import unicodedata
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from typing import Any, Final, TextIO, cast

from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment
from rich.text import Text

from harness.errors import of_system

BROKEN_PIPE: Final = 141
"""The exit status of a program that SIGPIPE ended, as shells tell it (128 + 13)."""

_REPLACED: Final = "isobench.replaced"
# Control characters, invisible ones (which turn the direction of writing), lone surrogates (bytes
# of a file's name that are no text), and the separators of lines that are none of "\n".
_UNPRINTABLE: Final = {"Cc", "Cf", "Cs", "Zl", "Zp"}
_PLAIN: Final = {
    "\N{PLUS-MINUS SIGN}": "+-",
    "\N{MICRO SIGN}": "u",
    "\N{MULTIPLICATION SIGN}": "x",
    "\N{EN DASH}": "-",
    "\N{EM DASH}": "-",
    "\N{HORIZONTAL ELLIPSIS}": "...",
    "\N{RIGHTWARDS ARROW}": "->",
}


class _StandardOutput:
    """What standard output is at the moment, whose errors are the user's to mend."""

    def write(self, text: str) -> int:
        """Write as the stream does. Raises IsobenchError, and BrokenPipeError."""
        with named_errors():
            return sys.stdout.write(text)

    def flush(self) -> None:
        """Write out what is held back. Raises IsobenchError, and BrokenPipeError."""
        with named_errors():
            sys.stdout.flush()

    def __getattr__(self, name: str) -> Any:
        return getattr(sys.stdout, name)


@contextmanager
def named_errors() -> Iterator[None]:
    """Have standard output's errors name it, as IsobenchError; a broken pipe stays what it is."""
    try:
        yield
    except BrokenPipeError:
        raise
    except OSError as error:
        abandon_output()
        raise of_system(error, "the output") from error


class Terminal(Console):
    """A console on standard output, to which every string is plain text."""

    def __init__(self) -> None:
        output = None if sys.stdout is None else cast(TextIO, _StandardOutput())
        super().__init__(file=output, markup=False, emoji=False, highlight=False)

    def render(
        self, renderable: RenderableType, options: ConsoleOptions | None = None
    ) -> Iterable[Segment]:
        """Yield what rich would, without what a terminal takes for a command."""
        for segment in super().render(renderable, options):
            if segment.control or segment.text.isprintable():
                yield segment
            else:
                yield Segment(printable(segment.text, keep="\n"), segment.style)

    def on_broken_pipe(self) -> None:
        """End as a program does that SIGPIPE ends: nobody reads what is still to be said."""
        self.quiet = True
        abandon_output()
        raise SystemExit(BROKEN_PIPE)


def can_redraw(console: Console) -> bool:
    """Return whether lines that were written can be replaced: on a terminal that is not a dumb one.

    FORCE_COLOR makes a pipe coloured, and not a terminal.
    """
    return console.is_interactive and console.file.isatty()


def styled(*parts: str | tuple[str, str]) -> Text:
    """Return a line of parts, each a text or a text with its style."""
    return Text.assemble(*parts)


def printable(text: str, keep: str = "") -> str:
    """Return a text with a mark in place of each character that is not one to be seen."""
    return "".join(
        sign
        if sign in keep or unicodedata.category(sign) not in _UNPRINTABLE
        else "\N{REPLACEMENT CHARACTER}"
        for sign in text
    )


def tell(line: str) -> None:
    """Write a line to standard error, as far as somebody is there to read it.

    A full disk, or no such stream, must not end what the line only tells of.
    """
    if sys.stderr is None:  # to which print would prefer the output
        return
    with suppress(OSError):
        print(printable(line, keep="\n"), file=sys.stderr, flush=True)


def abandon_output() -> None:
    """Let what is still written to standard output go nowhere, also at the interpreter's end."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    os.close(nowhere)


def write_whatever_the_encoding() -> None:
    """Have standard output and error replace what their encoding lacks.

    The locale or PYTHONIOENCODING may ask for ASCII; "±" is then "+-", and other characters "?".
    """
    codecs.register_error(_REPLACED, _replacement)
    for stream in (sys.stdout, sys.stderr):
        if stream is not None and hasattr(stream, "reconfigure"):
            stream.reconfigure(errors=_REPLACED)


def _replacement(error: UnicodeError) -> tuple[str, int]:
    assert isinstance(error, UnicodeEncodeError)
    missing = error.object[error.start : error.end]
    return "".join(_PLAIN.get(sign, "?") for sign in missing), error.end
