"""What the command `report` does: the page of a results folder, made anew."""

from __future__ import annotations

from pathlib import Path

import reports
from harness.terminal import Terminal


def start(folder: Path) -> None:
    """Write the report of a results folder, and say where it is. Raises IsobenchError."""
    Terminal().print(f"report: {reports.make(folder)}", soft_wrap=True)
