"""This run beside an earlier one, with the intervals and findings of `isobench compare`."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import ClassVar, Final, Self

import pandas as pd

from harness.results.comparison.compare import (
    METRICS,
    Compared,
    Comparison,
    Measured,
    change,
    compare,
)
from harness.results.conditions import Condition
from harness.results.format import count, duration, milliseconds
from harness.stats.intervals import Interval, geometric_interval
from reports.comparison import table
from reports.figures.against import Pair, against
from reports.section import Results, Section, Shown

_DRAWN: Final[Mapping[str, tuple[str, str, Callable[[float], str]]]] = {
    "requests_per_second": ("requests per second", "higher is better", count),
    "p99_ms": ("p99 latency", "lower is better", milliseconds),
    "server_cpu_us_per_request": ("server CPU time per request", "lower is better", duration),
}
_LEGEND: Final = (
    "The points are the estimates, the lines across them 95% intervals. Beside them is the change "
    "from BASE to NEW, with its interval and finding."
)


@dataclass(frozen=True, kw_only=True)
class Against(Section):
    """The figures of both runs, a table for each condition, and what else differs, as texts."""

    template: ClassVar[str] = "conclusions/against.html.j2"
    cautions: Sequence[str]
    tables: Sequence[tuple[str, pd.DataFrame]]
    only: Sequence[str]
    differs: pd.DataFrame

    @classmethod
    def read(cls, results: Results) -> Self | None:
        """Gather it; None where no earlier run was named. Raises IsobenchError as `compare`."""
        if results.base is None:
            return None
        base, new = (folder.measured(METRICS) for folder in (results.base, results.folder))
        found = compare(base, new, force=results.force)
        return cls(
            heading="This run beside an earlier one",
            sentences=[*table.heading_lines(found), table.count_line(found)],
            cautions=list(table.caution_lines(found)),
            figures=list(_figures(base, new, found)),
            tables=[
                (condition.words(), table.cells(found, rows))
                for condition, rows in table.rows_by_condition(found)
            ],
            only=list(table.only_lines(found)),
            differs=table.discrepancy_cells(found),
        )


def _figures(base: Measured, new: Measured, found: Comparison) -> Iterator[Shown]:
    for metric, (name, note, tick) in _DRAWN.items():
        conditions = [
            (condition.words(), [_pair(base, new, row) for row in rows])
            for condition, rows in _of(found, metric)
        ]
        if conditions:
            draw = partial(against, conditions, f"{name} (log scale): {note}", tick)
            heading = f"{name[0].upper()}{name[1:]}, before and after"
            yield Shown(f"against-{metric}", heading, _LEGEND, draw)


def _of(found: Comparison, metric: str) -> Iterator[tuple[Condition, list[Compared]]]:
    for condition, placed in table.rows_by_condition(found):
        rows = [row for _, row in placed if row.metric == metric]
        if rows:
            yield condition, rows


def _pair(base: Measured, new: Measured, row: Compared) -> Pair:
    key = (row.target, row.condition)
    before, after = (geometric_interval(run.of(key, row.metric)) for run in (base, new))
    return Pair(row.target, before, after, f"{_moved(row.ratio)}: {row.finding}")


def _moved(ratio: Interval) -> str:
    known = math.isfinite(ratio.low)
    interval = f" ({change(ratio.low)} to {change(ratio.high)})" if known else ""
    return f"{change(ratio.mid)}{interval}"
