"""The report that a command makes at its end, and where it is."""

from __future__ import annotations

from pathlib import Path

from rich.console import Console

import reports


def make_report(path: Path, *, wanted: bool = True) -> Path | None:
    """Make the report of a results folder; None where it is left to a later command.

    Raises IsobenchError.
    """
    return reports.make(path) if wanted else None


def name_report(page: Path | None, console: Console) -> None:
    """Say where the report is, if one was made."""
    if page is not None:
        console.print(f"\nreport: {page}", soft_wrap=True, highlight=False)
