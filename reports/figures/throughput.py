"""Figures of a summary: requests per second, CPU, memory, and a few targets side by side."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from harness.results.conditions import BASELINE, Condition, by_condition
from harness.results.format import count, duration, percent
from harness.results.overload import overloaded
from reports.figures.points import Measure, Row, Strip, draw_point, points, reach_of
from reports.figures.style import (
    FAINT,
    ROW_IN,
    STYLE,
    WIDTH_IN,
    Look,
    looks,
    mark,
    nothing_measured,
    short_name,
    text_width_pt,
)

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

# Of `beside`: above the first row of a condition, between names and rows, of a strip that is drawn.
_HEADING_IN = 0.64
_NAME_GAP_IN, _NAME_PT = 0.05, 9.5
_FILLED = 0.94


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
    style = looks(summary["target"].tolist())
    looked = {name: Look(FAINT, "solid") for name in targets} | {targets[0]: style[targets[0]]}
    with mpl.rc_context(STYLE):
        figure, panel = _panel_of([len(group) for _, group in conditions], targets)
        strips, top = _strips(rows, panel), 0.0
        for condition, group in conditions:
            _beside_condition(panel, top, condition.words(), group, strips, looked)
            top += _HEADING_IN + ROW_IN * len(group)
    return figure


def _panel_of(groups: Sequence[int], names: Sequence[str]) -> tuple[Figure, Axes]:
    """Return a panel with room for groups of so many rows, in inches from its top and its left.

    It is all of the figure but the names, which are on the left of it.
    """
    height = sum(_HEADING_IN + ROW_IN * rows for rows in groups)
    named = max(text_width_pt(short_name(name), _NAME_PT) for name in names) / 72 + 2 * _NAME_GAP_IN
    figure = Figure(figsize=(WIDTH_IN, height))
    panel = figure.add_axes((named / WIDTH_IN, 0, 1 - named / WIDTH_IN, 1))
    panel.set_axis_off()
    panel.set_xlim(0, WIDTH_IN - named)
    panel.set_ylim(height, 0)
    return figure, panel


def _strips(rows: pd.DataFrame, panel: Axes) -> list[Strip]:
    """Return a strip of the panel for each measure that has a value."""
    measures = [measure for measure in _BESIDE if np.isfinite(rows[measure.column]).any()]
    pitch = panel.get_xlim()[1] / len(measures)
    return [
        Strip(measure, reach_of(rows, measure), place * pitch, _FILLED * pitch, room=0.75)
        for place, measure in enumerate(measures)
    ]


def _beside_condition(
    panel: Axes,
    top: float,
    words: str,
    group: Sequence[Row],
    strips: Sequence[Strip],
    style: Mapping[str, Look],
) -> None:
    """Draw one condition: its words, and below them a row for each target."""
    panel.text(0, top + 0.13, words, fontweight="bold", va="center")
    for strip in strips:
        panel.text(strip.left, top + 0.34, strip.measure.axis, fontsize=9, va="center")
    for number, row in enumerate(group):
        place, target = top + _HEADING_IN + ROW_IN * number, row["target"]
        name = (-_NAME_GAP_IN, place, short_name(target))
        mark([panel.text(*name, ha="right", va="center", fontsize=_NAME_PT)], target)
        for strip in strips:
            if np.isfinite(row[strip.measure.column]):
                draw_point(panel, place, row, strip.measure, style[target], strip.reach, strip.at)


def _condition(row: Row) -> Condition:
    return Condition(*(row[name] for name in Condition._fields))
