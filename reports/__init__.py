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

from pathlib import Path


def make(folder: Path) -> Path:
    """Write summary.csv, summary.md, figures/ and report.html into a results folder.

    Returns the path of report.html. Raises IsobenchError where the folder is no results folder
    or the disk refuses.
    """
    # Here, since matplotlib takes half a second to import and reports.terminal needs none of it.
    from reports.page import write

    return write(folder)
