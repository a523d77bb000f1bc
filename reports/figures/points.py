"""A point for each target, with its interval: how `throughput` and `beside` draw a column.

Rates and costs of isolation modes lie up to three decades apart, so they are drawn on
logarithmic axes, as points with stems rather than as bars: a bar's length claims a zero that
such an axis does not have.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, NullLocator

from harness.results.conditions import by_condition
from reports.figures.style import (
    INK,
    ROW_IN,
    STYLE,
    Look,
    log_ticks,
    looks,
    mark,
    nothing_measured,
    panels_of,
    said_of,
    short_name,
)

Row = Mapping[Any, Any]  # of a summary; pandas types the names as Hashable


@dataclass(frozen=True)
class Measure:
    """A column drawn as a point for each target."""

    column: str
    axis: str
    note: str
    label: Callable[[Row], str]
    tick: Callable[[float], str]
    log: bool = True
    hollow: Callable[[Row], float] | None = None
    """What else is known of a row, drawn as a hollow mark; NaN where nothing is."""
    hollow_words: str = ""


# How far beyond the outermost points an interval is drawn, as a factor: one that is wider would
# leave no room for the points. Its end is then cut off, without the mark of an end.
_BEYOND = 3.0
_MARK: dict[str, Any] = {"marker": "o", "ls": "", "color": INK, "markersize": 6}


def points(summary: pd.DataFrame, measure: Measure) -> Figure:
    """Draw a column: a panel a condition, a point for each target of it."""
    conditions = [
        (condition, rows[np.isfinite(rows[measure.column])].to_dict("records"))
        for condition, rows in by_condition(summary)
    ]
    conditions = [(condition, rows) for condition, rows in conditions if rows]
    if not conditions:
        return nothing_measured()
    style = looks(summary["target"].tolist())
    every = [row for _, rows in conditions for row in rows]
    reach = _with_hollow(reach_of(summary, measure), every, measure)
    with mpl.rc_context(STYLE):
        figure, panels = panels_of([ROW_IN * len(rows) + 0.1 for _, rows in conditions])
        for panel, (condition, rows) in zip(panels, conditions, strict=True):
            panel.set_title(condition.words())
            for place, row in enumerate(rows):
                draw_point(panel, place, row, measure, style[row["target"]], reach)
            name_rows(panel, rows)
        share_x(panels, reach, measure)
        panels[-1].set_xlabel(f"{measure.axis}: {measure.note}")
        if any(np.isfinite(_hollow(row, measure)) for row in every):
            marks = [
                Line2D([], [], **_MARK, markerfacecolor=INK, label="measured"),
                Line2D([], [], **_MARK, markerfacecolor="none", label=measure.hollow_words),
            ]
            figure.legend(
                handles=marks, loc="outside lower left", ncols=2, frameon=False, fontsize=8.5
            )
    return figure


def _hollow(row: Row, measure: Measure) -> float:
    return measure.hollow(row) if measure.hollow else float("nan")


def _with_hollow(
    reach: tuple[float, float], rows: Sequence[Row], measure: Measure
) -> tuple[float, float]:
    known = [value for row in rows if np.isfinite(value := _hollow(row, measure))]
    return min([reach[0], *known]), max([reach[1], *known])


def reach_of(rows: pd.DataFrame, measure: Measure) -> tuple[float, float]:
    """Return the least and the greatest value to be drawn, intervals included, within reason."""
    known = rows[rows[measure.column].notna()]
    values = known[measure.column].astype(float)
    lows, highs = (
        known.get(f"{measure.column}_{end}", values).fillna(values) for end in ("low", "high")
    )
    return (
        max(float(lows.min()), float(values.min()) / _BEYOND),
        min(float(highs.max()), float(values.max()) * _BEYOND),
    )


def draw_point(
    panel: Axes,
    place: float,
    row: Row,
    measure: Measure,
    look: Look,
    reach: tuple[float, float],
    at: Callable[[float], float] = float,
) -> None:
    """Draw a row of a panel: its point, its interval, and its label.

    `at` says where in the panel a value is, of a panel that has no scale of its own.
    """
    value, start = at(float(row[measure.column])), at(_start(row, measure))
    ends = [float(row.get(f"{measure.column}_{end}", np.nan)) for end in ("low", "high")]
    low, high = shown = [at(float(np.clip(end, *reach))) for end in ends]
    hollow = at(_hollow(row, measure))
    marked = [end for end, whole in zip(shown, ends, strict=True) if end == at(whole)]
    colour = look.colour
    # One above the other in this order, and in the page one group: so nothing has a `zorder`.
    stem = panel.plot([start, value], [place] * 2, color=colour, lw=6, alpha=0.3)
    stem[0].set_solid_capstyle("butt")
    drawn: list[Artist] = [*stem]
    if np.isfinite(hollow):
        drawn += panel.plot([value, hollow], [place] * 2, color=colour, lw=1, ls=":")
    drawn += panel.plot(value, place, "o", color=colour, markersize=7)
    if np.isfinite(hollow):
        drawn += panel.plot(hollow, place, "o", mfc="none", color=colour, markersize=7, mew=1.5)
    # Over the point and with ends of its own: an interval of 1% is narrower than the point.
    drawn += panel.plot([low, high], [place] * 2, "-", color=INK, lw=1.2)
    drawn += panel.plot(marked, [place] * len(marked), "|", color=INK, mew=1.2, markersize=9)
    label = panel.annotate(
        measure.label(row),
        (np.nanmax([value, high, hollow]), place),
        xytext=(9, 0),
        textcoords="offset points",
        va="center",
        fontsize=9,
        zorder=Line2D.zorder,
    )
    known = [measure.tick(end) if np.isfinite(end) else "" for end in ends]
    mark([*drawn, label], row["target"], said_of(row["target"], measure.label(row), *known))


def _start(row: Row, measure: Measure) -> float:
    """Return where the stem of a point begins; on a logarithmic axis, out of sight."""
    return float(row[measure.column]) / 1e9 if measure.log else 0.0


def name_rows(panel: Axes, rows: Sequence[Row]) -> None:
    """Write the targets' names beside their rows."""
    panel.set_yticks(range(len(rows)), [short_name(row["target"]) for row in rows])
    for name, row in zip(panel.get_yticklabels(), rows, strict=True):
        mark([name], row["target"])
    panel.set_ylim(len(rows) - 0.4, -0.6)
    panel.grid(visible=False, axis="y")
    panel.spines["left"].set_visible(False)


def share_x(
    panels: Sequence[Axes], reach: tuple[float, float], measure: Measure, room: float = 0.42
) -> None:
    """Give panels one scale; `room` is what the labels need on the right, as a share of it."""
    limits = _limits(reach, measure, room)
    for panel in panels:
        panel.set_xlim(*limits)
        if measure.log:
            panel.set_xscale("log")
            panel.xaxis.set_major_locator(log_ticks(limits))
            panel.xaxis.set_minor_locator(NullLocator())
        panel.xaxis.set_major_formatter(FuncFormatter(lambda value, _: measure.tick(value)))


def _limits(reach: tuple[float, float], measure: Measure, room: float) -> tuple[float, float]:
    smallest, largest = reach
    if not measure.log:
        return 0.0, largest * (0.8 + room) or 1.0
    decades = max(np.log10(largest / smallest), 1)
    return smallest / 10 ** (0.12 * decades), largest * 10 ** (room * decades)


@dataclass(frozen=True)
class Strip:
    """A part of a panel with a scale of its own, for one measure: from `left` on, `width` wide.

    As good as a panel, each of which takes matplotlib as long as all that is drawn in it.
    """

    measure: Measure
    reach: tuple[float, float]
    left: float
    width: float
    room: float

    def at(self, value: float) -> float:
        """Return where in the panel a value is; what lies below the scale, at its beginning."""
        ends = np.array([*_limits(self.reach, self.measure, self.room), value])
        low, high, there = np.log10(ends) if self.measure.log else ends
        return float(self.left + self.width * np.maximum((there - low) / (high - low), 0.0))
