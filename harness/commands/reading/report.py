"""What the command `report` does: the page of a results folder, made anew."""

from __future__ import annotations

from pathlib import Path

import reports
from harness.terminal import Terminal


def start(folder: Path, base: Path | None, *, force: bool) -> None:
    """Write the report of a results folder, and say where it is; with `base` beside it, if any.

    Raises IsobenchError.
    """
    Terminal().print(f"report: {reports.make(folder, base, force=force)}", soft_wrap=True)
