"""The report that a command makes at its end, and where it is."""

from __future__ import annotations

from pathlib import Path

from rich.console import Console

import reports
from harness.commands.signals import Interrupted
from harness.terminal import tell


def make_report(path: Path, *, wanted: bool = True) -> Path | None:
    """Make the report of a results folder; None where it is left to a later command.

    Raises IsobenchError.
    """
    try:
        return reports.make(path) if wanted else None
    except Interrupted:
        tell(f"the results are saved; make their report with: isobench report {path}")
        raise


def name_report(page: Path | None, console: Console) -> None:
    """Say where the report is, if one was made."""
    if page is not None:
        console.print(f"\nreport: {page}", soft_wrap=True, highlight=False)
