"""What the command `compare` does: two runs side by side, in one of several formats."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import reports
from harness.commands.output import deliver
from harness.commands.reading import step_summary
from harness.errors import IsobenchError
from harness.results.comparison import thresholds
from harness.results.comparison.compare import COMPARABLE, METRICS, choose_metrics, refuse_broken
from harness.results.comparison.compare import compare as set_beside
from harness.results.folder import ResultsFolder
from harness.terminal import Terminal
from reports.comparison.table import render


def start(
    base: Path,
    new: Path,
    fail_if: Sequence[str],
    metrics: Sequence[str] | None,
    smallest_effect: str,
    force: bool,
    form: str,
    out: Path | None,
) -> None:
    """Compare two results folders; `metrics` None for the usual ones.

    Raises IsobenchError, also where a bound of `fail_if` does not hold.
    """
    writers = reports.comparison_formats()
    if form not in writers:
        raise IsobenchError(f"unknown format {form!r}", hint=f"choose one of {', '.join(writers)}")
    limits = [thresholds.parse_bound(text, COMPARABLE) for text in fail_if]
    effect = thresholds.parse_share(smallest_effect, "--smallest-effect")
    chosen = METRICS if metrics is None else choose_metrics(tuple(metrics))
    columns = tuple(dict.fromkeys([*chosen, *(limit.metric for limit in limits)]))
    before, after = (ResultsFolder.open(path).measured(columns) for path in (base, new))
    comparison = set_beside(
        before, after, metrics=columns, bounds=limits, smallest_effect=effect, force=force
    )
    if form == "table" and out is None:
        console = Terminal()
        console.print(render(comparison, console.width))
    else:
        if form == "github":
            step_summary.append(writers["markdown"](comparison))
        deliver(writers[form](comparison), out)
    refuse_broken(comparison)
