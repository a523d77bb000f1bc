"""Result tables in; tables, figures and one HTML page out.

Reads a results folder through harness.results and nothing else of the harness, so that whoever
has the folder can make the report again, elsewhere and later.

Words of this package (harness has those of measuring):

summary
    a row for each target and condition: estimates over blocks, with intervals.
condition
    the workload, load and tenants that targets were measured under. Rows compare only
    within one.
caution
    what weakens a result, and what to do about it; shown before the results.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import RenderableType

    from harness.results.comparison.compare import Comparison
    from harness.results.comparison.confirm import Confirmation
    from harness.results.comparison.false_alarms import FalseAlarms
    from harness.results.comparison.history import History


def make(folder: Path, base: Path | None = None, *, force: bool = False) -> Path:
    """Write summary.csv, summary.md, figures/ and report.html into a results folder.

    `base` is the folder of an earlier run to set beside it: of this machine, unless `force`.
    Returns the path of report.html. Raises IsobenchError where the folder is no results folder
    or the disk refuses.
    """
    from reports.figures.drawing import own_settings

    with own_settings():
        # Here, since it takes half a second, and reports.terminal needs none of it.
        from reports.page import write

        return write(folder, base, force=force)


def comparison_formats() -> Mapping[str, Callable[[Comparison], str]]:
    """Return how a comparison of two runs can be written, by name of the format."""
    from reports.comparison import table
    from reports.comparison.github import github
    from reports.comparison.junit import junit

    return {
        "table": table.plain,
        "markdown": table.markdown,
        "csv": table.csv,
        "junit": junit,
        "github": github,
    }


def confirmation(
    found: Comparison, again: Confirmation | None, alarms: FalseAlarms | None, form: str
) -> str:
    """Return what measuring again has shown, as `text`, `markdown` or `github`."""
    from reports.comparison.confirmed import text

    return text(found, again, alarms, form)


def make_history(history: History, out: Path) -> Path:
    """Write the page of a history. Returns its path. Raises IsobenchError, as `make` does."""
    from reports.figures.drawing import own_settings

    with own_settings():
        from reports.history.page import write

        return write(history, out)


def history_table(history: History) -> RenderableType:
    """Return a history as something that rich prints."""
    from reports.history.terminal import render

    return render(history)


def history_csv(history: History) -> str:
    """Return a history as CSV, a row a run."""
    from reports.history.csv import csv

    return csv(history)
