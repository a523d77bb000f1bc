"""A history for a terminal: a line for each series, then the changes and what was skipped."""

from __future__ import annotations

from collections.abc import Iterator

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from harness.results.comparison.compare import change
from harness.results.comparison.history import History, Series, condition_words
from harness.results.format import NONE, plus_minus
from reports.comparison.table import number
from reports.history import words

_COLUMNS = ("target", "runs", "first", "latest", "±", "change of level")


def render(history: History) -> RenderableType:
    """Return the history as something that rich prints."""
    return Group(*_parts(history))


def _parts(history: History) -> Iterator[RenderableType]:
    yield Text(words.scope(history))
    for metric in history.metrics:
        for condition, series in history.of(metric).items():
            yield Text()
            yield Text(f"{words.heading(metric)}: {condition_words(condition)}", style="italic")
            yield _table(history, series)
    yield Text()
    yield Text(f"{words.found(history)}.")
    for one, shift in words.all_changes(history):
        yield Text(f"- {words.change_line(history, one, shift)}", style="bold")
    for line in words.skipped_lines(history):
        yield Text(line, style="yellow")
    if line := words.unfinished(history.runs):
        yield Text(line, style="yellow")


def _table(history: History, series: list[Series]) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for name in _COLUMNS:
        left = name in ("target", "change of level")
        table.add_column(name, justify="left" if left else "right", overflow="fold")
    for one in series:
        table.add_row(*map(Text, _cells(history, one)))
    return table


def _cells(history: History, one: Series) -> tuple[str, ...]:
    first, latest = one.points[0].value, one.points[-1].value
    return (
        one.target,
        str(len(one.points)),
        number(one.metric, first.mid),
        number(one.metric, latest.mid),
        plus_minus(latest.low, latest.high) or NONE,
        _last(history, one),
    )


def _last(history: History, one: Series) -> str:
    if not one.changes:
        return NONE
    last = one.changes[-1]
    return f"{change(last.ratio.mid)} at {history.runs[last.after].name}"
