"""What the command `history` does: many runs as a page, a table, or CSV."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Final

import reports
from harness.commands.output import deliver
from harness.errors import IsobenchError
from harness.results.comparison import history
from harness.terminal import Terminal

FORMATS: Final = ("table", "csv")
PAGE: Final = "history.html"


def start(
    places: Sequence[Path],
    metrics: Sequence[str] | None,
    series: Sequence[str],
    form: str,
    out: Path | None,
) -> None:
    """Show the runs below some folders; `metrics` None for the usual ones.

    A table for the terminal comes with a page, in `out` or beside the runs. Raises IsobenchError.
    """
    if form not in FORMATS:
        raise IsobenchError(f"unknown format {form!r}", hint=f"choose one of {', '.join(FORMATS)}")
    chosen = history.METRICS if metrics is None else metrics
    found = history.gather(places, chosen, series)
    if form == "csv":
        deliver(reports.history_csv(found), out)
        return
    console = Terminal()
    console.print(reports.history_table(found))
    page = reports.make_history(found, out or _beside(places[0]))
    console.print(f"history: {page}", soft_wrap=True)


def _beside(place: Path) -> Path:
    """Return where the page goes: into the folder that holds the runs."""
    return (place.absolute().parent if (place / "run.json").exists() else place) / PAGE
