"""Where a command writes what it made: a file, or standard output."""

from __future__ import annotations

import sys
from pathlib import Path

from harness.errors import IsobenchError
from harness.terminal import named_errors, tell


def deliver(text: str, out: Path | None) -> None:
    """Write text to a file, or to where the output goes."""
    if out is None:
        if sys.stdout is not None:  # as it is where that was closed from the start
            with named_errors():
                sys.stdout.write(text)
                sys.stdout.flush()
        return
    try:
        # Not by replacing the file: it may be /dev/stdout or a pipe.
        out.write_text(text, encoding="utf-8")
    except OSError as error:
        raise IsobenchError(
            f"cannot write {out}: {error.strerror}", hint="choose another file with --out"
        ) from error
    tell(f"written: {out}")
