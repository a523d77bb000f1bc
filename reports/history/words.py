"""What a history says in words. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from harness.results.comparison.compare import CAPACITY, RATIO, change
from harness.results.comparison.history import Change, History, Run, Series, condition_words
from harness.results.conditions import BASELINE
from harness.results.provenance import Discrepancy
from reports.comparison.table import metric_name

_HEADINGS: Final = {
    CAPACITY: f"Capacity per core relative to {BASELINE}",
    RATIO: f"Requests per second relative to {BASELINE}",
    "requests_per_second": "Requests per second",
    "p50_ms": "Median latency",
    "p99_ms": "p99 latency",
    "server_cpu_us_per_request": "Server CPU time per request",
    "memory_mib": "Memory of the server",
}
_FEW: Final = 4
_SHORT: Final = 40


def heading(metric: str) -> str:
    """Return a metric as a heading."""
    return _HEADINGS.get(metric, metric_name(metric))


def scope(history: History) -> str:
    """Return how many runs there are, from when to when, and of how many machines."""
    first, last = (_day(history.runs[place]) for place in (0, -1))
    when = f"on {first}" if first == last else f"from {first} to {last}"
    runs = "1 run" if len(history.runs) == 1 else f"{len(history.runs)} runs"
    machines = "1 machine" if history.machines == 1 else f"{history.machines} machines"
    return f"{runs} on {machines}, {when}"


def found(history: History) -> str:
    """Return how many changes there are, or why there can be none."""
    changes = sum(len(one.changes) for one in history.series)
    if changes:
        return "1 change of level" if changes == 1 else f"{changes} changes of level"
    most = max(
        sum(history.runs[point.run].machine == machine for point in one.points)
        for one in history.series
        for machine in range(1, history.machines + 1)
    )
    if most < _FEW:
        return "Too few runs on one machine to show a change of level: it takes four at least"
    return "No change of level is shown"


def _day(run: Run) -> str:
    return f"{run.began:%Y-%m-%d}"


def minute(run: Run) -> str:
    """Return when a run began: 2026-03-01 12:00."""
    return f"{run.began:%Y-%m-%d %H:%M}"


def made_by(run: Run) -> str:
    """Return by which isobench a run was made."""
    commit = run.manifest.commit
    return run.manifest.isobench + (f" ({commit})" if commit else "")


def moved(one: Change) -> str:
    """Return a change with its interval: +12.0% (+10.1% to +13.9%)."""
    ratio = one.ratio
    return f"{change(ratio.mid)} ({change(ratio.low)} to {change(ratio.high)})"


def all_changes(history: History) -> list[tuple[Series, Change]]:
    """Return the changes in the order of time."""
    every = [(series, one) for series in history.series for one in series.changes]
    return sorted(every, key=lambda pair: pair[1].after)


def change_line(history: History, series: Series, one: Change) -> str:
    """Return a change as one line: what moved by how much, at which run, and what else did."""
    run = history.runs[one.after]
    what = f"{series.target} ({condition_words(series.condition)}), {heading(series.metric)}"
    return f"{what}: {moved(one)} at {run.name}; {differences(history, one.before, one.after)}"


def differences(history: History, before: int, after: int) -> str:
    """Return in what two runs differ besides their numbers."""
    differs = history.differs(before, after)
    if not differs:
        return "nothing else that is recorded"
    said = [_difference(one) for one in differs[:_FEW]]
    more = len(differs) - len(said)
    return ", ".join(said) + (f" and {more} more" if more > 0 else "")


def _difference(one: Discrepancy) -> str:
    return f"{one.name} {_short(one.base)} to {_short(one.new)}"


def _short(text: str) -> str:
    return text if len(text) <= _SHORT else f"{text[: _SHORT - 1]}…"


def skipped_lines(history: History) -> Iterator[str]:
    """Yield what lies below the folders and is no part of the history."""
    for one in history.skipped:
        yield f"skipped {one.path}: {one.reason}"


def unfinished(runs: Sequence[Run]) -> str:
    """Return which runs did not finish; "" where all did."""
    names = [run.name for run in runs if run.manifest.finished_at is None]
    return f"did not finish, so with fewer blocks: {', '.join(names)}" if names else ""
