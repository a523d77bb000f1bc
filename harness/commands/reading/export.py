"""What the command `export` does: a run in another tool's format."""

from __future__ import annotations

from pathlib import Path

from harness.commands.output import deliver
from harness.errors import IsobenchError
from harness.results.folder import ResultsFolder
from harness.results.pyperf import pyperf_json


def start(folder: Path, form: str, metric: str, out: Path | None) -> None:
    """Write a results folder in a format, `pyperf` alone so far. Raises IsobenchError."""
    if form != "pyperf":
        raise IsobenchError(f"cannot export to the format {form!r}", hint="choose pyperf")
    deliver(pyperf_json(ResultsFolder.open(folder), metric), out)
