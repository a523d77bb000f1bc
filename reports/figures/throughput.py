"""Figures of a summary: requests per second, CPU, memory, and a few targets side by side."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine

from harness.results.conditions import BASELINE, Condition, by_condition
from harness.results.format import count, duration, percent
from harness.results.overload import overloaded
from reports.figures.points import Measure, Row, draw_point, name_rows, points, reach_of, share_x
from reports.figures.style import FAINT, ROW_IN, STYLE, WIDTH_IN, Look, looks, nothing_measured

_BESIDE = (
    Measure(
        *("requests_per_second", "requests per second", "higher is better"),
        lambda row: count(row["requests_per_second"]),
        count,
    ),
    Measure(
        *("p99_ms", "p99 latency", "lower is better"),
        lambda row: duration(1000 * row["p99_ms"]),
        lambda value: duration(1000 * value),
    ),
    Measure(
        *("server_cpu_us_per_request", "CPU per request", "lower is better"),
        lambda row: duration(row["server_cpu_us_per_request"]),
        duration,
    ),
    Measure(
        *("memory_mib", "memory", "lower is better"),
        lambda row: f"{count(row['memory_mib'])} MiB",
        count,
        log=False,
    ),
)


def with_telling_rates(summary: pd.DataFrame) -> pd.DataFrame:
    """Return the rows of conditions whose rates are results: not given, or not kept up with."""
    telling = [
        rows
        for condition, rows in by_condition(summary)
        if not condition.is_open or any(map(_overloaded, rows.to_dict("records")))
    ]
    return pd.concat(telling, ignore_index=True) if telling else summary.iloc[:0]


def _overloaded(row: Row) -> bool:
    return overloaded(row["requests_per_second"], row["offered_per_second"])


def throughput(summary: pd.DataFrame, baseline: str = BASELINE) -> Figure:
    """Draw requests per second with intervals, and the ratio to the baseline."""
    # Where the generator held the baseline back, a ratio to it would flatter the others.
    limited = {
        condition
        for condition, rows in by_condition(summary)
        if ((rows["target"] == baseline) & (rows["verdict"] == "generator-bound")).any()
    }

    def label(row: Row) -> str:
        rate = count(row["requests_per_second"])
        if row["verdict"] == "generator-bound":
            capacity = by_cpu(row)
            known = f"; {count(capacity)} by CPU time" if np.isfinite(capacity) else ""
            return f"at least {rate}{known}"
        if _overloaded(row):
            return f"{rate} of {count(row['offered_per_second'])}"
        ratio = row[f"ratio_to_{baseline}"]
        said = np.isfinite(ratio) and row["target"] != baseline and _condition(row) not in limited
        return f"{rate}  {percent(ratio)} of {baseline}" if said else rate

    axis = "requests per second (log scale)"
    measure = Measure(
        *("requests_per_second", axis, "higher is better", label, count),
        hollow=by_cpu,
        hollow_words="the load generator was the limit: what one core could serve, by its CPU time",
    )
    return points(summary, measure)


def by_cpu(row: Row) -> float:
    """Return what a core of the server could serve, where the generator was the limit; else NaN.

    That is a second of a core divided by the CPU time of a request.
    """
    bound = row["verdict"] == "generator-bound"
    return float(row["capacity_per_core"]) if bound else float("nan")


def cpu(summary: pd.DataFrame) -> Figure:
    """Draw server CPU time per request."""
    column = "server_cpu_us_per_request"
    axis = "server CPU time per request (log scale)"
    return points(
        summary,
        Measure(column, axis, "lower is better", lambda row: duration(row[column]), duration),
    )


def memory(summary: pd.DataFrame) -> Figure:
    """Draw the memory of the whole pool."""
    measure = Measure(
        "memory_mib",
        "memory of all server processes, MiB (proportional set size)",
        "lower is better",
        lambda row: f"{count(row['memory_mib'])} MiB",
        count,
        log=False,
    )
    return points(summary, measure)


def beside(summary: pd.DataFrame, targets: Sequence[str]) -> Figure:
    """Draw a few targets side by side in all that was measured; the first in its own colour."""
    rows = summary[summary["target"].isin(targets) & (summary["trials"] > 0)]
    conditions = [
        (condition, sorted(group.to_dict("records"), key=lambda row: targets.index(row["target"])))
        for condition, group in by_condition(rows)
    ]
    if not conditions:
        return nothing_measured()
    measures = [measure for measure in _BESIDE if np.isfinite(rows[measure.column]).any()]
    reaches = {measure: reach_of(rows, measure) for measure in measures}
    own = looks(summary["target"].tolist())[targets[0]]
    style = {target: own if target == targets[0] else Look(FAINT, "solid") for target in targets}
    with mpl.rc_context(STYLE):
        height = sum(ROW_IN * len(group) + 0.62 for _, group in conditions)
        # Above each line of panels is room for its condition, of which the layout knows nothing.
        layout = ConstrainedLayoutEngine(rect=(0, 0, 1, 1 - 0.24 / height), hspace=0.24)
        figure = Figure(figsize=(WIDTH_IN, height), layout=layout)
        heights = [len(group) for _, group in conditions]
        grid = figure.subplots(len(conditions), len(measures), squeeze=False, height_ratios=heights)
        for line, (condition, group) in zip(grid, conditions, strict=True):
            _beside_line(list(line), condition, group, reaches, style)
        for column, measure in zip(grid.T, measures, strict=True):
            share_x(list(column), reaches[measure], measure, room=0.75)
            for panel in column:
                panel.xaxis.set_visible(False)
    return figure


def _beside_line(
    line: Sequence[Axes],
    condition: Condition,
    group: Sequence[Row],
    reaches: Mapping[Measure, tuple[float, float]],
    style: Mapping[str, Look],
) -> None:
    """Draw one condition: a panel for each measure, the names at the first."""
    measures = list(reaches)
    for panel, measure in zip(line, measures, strict=True):
        for place, row in enumerate(group):
            if np.isfinite(row[measure.column]):
                draw_point(panel, place, row, measure, style[row["target"]], reaches[measure])
        name_rows(panel, group)
        panel.set_title(measure.axis, fontsize=9, fontweight="normal")
        panel.spines["bottom"].set_visible(False)
        if panel is not line[0]:
            panel.yaxis.set_visible(False)
    heading = line[0].annotate(
        condition.words(),
        (0, 1),
        xycoords="axes fraction",
        xytext=(0, 22),
        textcoords="offset points",
        fontweight="bold",
    )
    heading.set_in_layout(False)  # it may reach over the other panels


def _condition(row: Row) -> Condition:
    return Condition(*(row[name] for name in Condition._fields))
