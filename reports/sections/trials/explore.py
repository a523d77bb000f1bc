"""What the page's script works with: each target's numbers, for its own figure and its filters."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Final, Self

import pandas as pd
from markupsafe import Markup

from harness.results.blocks import block_values
from harness.results.conditions import Condition, Key, by_condition
from harness.results.format import connection_words, load_words
from harness.stats.intervals import Interval, geometric_interval
from reports.figures.style import looks
from reports.section import Results, Section

RATE, CPU, P99 = "requests_per_second", "server_cpu_us_per_request", "p99_ms"


@dataclass(frozen=True)
class Metric:
    """What the reader can choose to see; `unit` says how the script writes a value."""

    name: str
    label: str
    unit: str
    note: str


METRICS: Final = (
    Metric("rate", "req/s", "count", "requests per second; more is better"),
    Metric(
        *("capacity", "capacity per core", "count"),
        "requests per second that one core could serve, by its CPU time; more is better",
    ),
    Metric("p99", "p99", "time", "latency that 99 of 100 requests stay below; less is better"),
    Metric("cpu", "CPU", "time", "CPU time of the whole server for a request; less is better"),
)


@dataclass(frozen=True, kw_only=True)
class Explore(Section):
    """The controls, hidden until the script shows them, and what the script reads."""

    template: ClassVar[str] = "trials/explore.html.j2"
    facts: Mapping[str, Any]
    metrics: Sequence[Metric] = METRICS

    @classmethod
    def read(cls, results: Results) -> Self | None:
        """Gather it; None where no trial counts."""
        summary = results.summary
        if not (summary["trials"] > 0).any():
            return None
        return cls(facts=facts(summary, block_values(results.trials, (RATE, CPU, P99))))

    @property
    def data(self) -> Markup:
        """The facts as JSON that may stand in an element `script`."""
        return Markup(json.dumps(self.facts, separators=(",", ":")).replace("<", "\\u003c"))


def facts(
    summary: pd.DataFrame, values: Mapping[Key, Mapping[str, Sequence[float]]]
) -> dict[str, Any]:
    """Return what the script reads. Pure.

    `targets` are colours by name. `conditions` have `words`, as in the page's headings, `workload`,
    `load` and `connection`, in words, and `rows`: `target`, `verdict` and for each metric the
    value and the ends of its interval, null where there is none; times are in microseconds.
    """
    targets = [str(name) for name in summary["target"]]
    style = looks(targets)
    return {
        "targets": {name: style[name].colour for name in dict.fromkeys(targets)},
        "conditions": [
            {
                "words": condition.words(),
                "workload": condition.workload,
                "load": load_words(condition.load),
                "connection": connection_words(condition.connection),
                "rows": list(_rows(condition, rows, values)),
            }
            for condition, rows in by_condition(summary)
        ],
    }


def _rows(
    condition: Condition,
    rows: pd.DataFrame,
    values: Mapping[Key, Mapping[str, Sequence[float]]],
) -> Iterator[dict[str, Any]]:
    for row in rows.to_dict("records"):
        target = str(row["target"])
        found = values.get((target, condition), {})
        rate, cpu, p99 = (geometric_interval(found.get(name, ())) for name in (RATE, CPU, P99))
        yield {
            "target": target,
            "verdict": str(row["verdict"]).partition(":")[0],
            "rate": _numbers(rate),
            "capacity": _numbers(_inverse(cpu)),
            "p99": [None if end is None else _short(1000 * end) for end in _numbers(p99)],
            "cpu": _numbers(cpu),
        }


def _inverse(cpu_us: Interval) -> Interval:
    return Interval(1e6 / cpu_us.high, 1e6 / cpu_us.mid, 1e6 / cpu_us.low)


def _numbers(interval: Interval) -> list[float | None]:
    """Return the middle and the ends, None where unknown: JSON knows no NaN."""
    ends = (interval.mid, interval.low, interval.high)
    return [_short(end) if math.isfinite(end) else None for end in ends]


def _short(value: float) -> float:
    return float(f"{value:.5g}")
