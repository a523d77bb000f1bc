"""The figures: one function each, a summary in, a Figure out.

Rates and costs of isolation modes lie up to three decades apart, so they are drawn on
logarithmic axes, as points with stems rather than as bars: a bar's length claims a zero that
such an axis does not have.
"""

from __future__ import annotations

import io
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

from harness.results.format import connection_words, count, duration, percent
from harness.results.load_curve import Place, Swept
from harness.results.overload import overloaded
from harness.results.summary import BASELINE, Condition, by_condition
from harness.stats.histogram import Histogram
from harness.stats.intervals import quantile_ranks

# Colours of the drawing itself; the page replaces them by those of its theme.
INK = "#22272e"
FAINT = "#c8ced6"
PAPER = "#ffffff"

# Paul Tol's "vibrant" scheme: distinct for the colour-blind, and legible on white and on black.
# (The grey is darker than Tol's, for white paper.) Beyond seven targets the line style differs.
COLOURS = ("#0077bb", "#ee7733", "#009988", "#cc3311", "#33bbee", "#ee3377", "#8a8a8a")
DASHES = ("solid", "dashed", "dotted", "dashdot")

WIDTH_IN = 7.6
ROW_IN = 0.30
STYLE: dict[Any, Any] = {
    # Paths, not text: the same on a reader without the font.
    "svg.fonttype": "path",
    "svg.hashsalt": "isobench",
    "font.family": "DejaVu Sans",  # comes with matplotlib
    "font.size": 9.5,
    "text.parse_math": False,  # a "$" in a name is a "$"
    "text.color": INK,
    "axes.labelcolor": INK,
    "axes.edgecolor": FAINT,
    "axes.titlesize": 10.5,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    # Where they are anyway: to look whether ticks are in their way takes a sixth of all the time.
    "axes.titley": 1.0,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": FAINT,
    "grid.linewidth": 0.6,
    "grid.alpha": 0.6,
    "xtick.color": INK,
    "ytick.color": INK,
    "xtick.major.size": 0,
    "xtick.minor.size": 0,
    "ytick.major.size": 0,
    "ytick.minor.size": 0,
    "figure.facecolor": PAPER,
    "axes.facecolor": "none",
}

Row = Mapping[Any, Any]  # of a summary; pandas types the names as Hashable
Floats = np.ndarray[Any, np.dtype[np.float64]]
Histograms = Mapping[tuple[str, Condition], Histogram]


@dataclass(frozen=True)
class Look:
    """How a target is drawn, in every figure."""

    colour: str
    dash: str


def looks(targets: Sequence[str]) -> dict[str, Look]:
    """Give each target a look of its own, nearly the same from one run to the next.

    A target prefers the place that its name hashes to (CRC 32, the same everywhere); where that
    is taken it gets the next free one. All colours are used before a line style is.
    """
    taken: dict[int, str] = {}
    for name in sorted(set(targets)):
        turn = len(taken) // len(COLOURS)
        start = zlib.crc32(name.encode()) % len(COLOURS)
        places = (
            turn * len(COLOURS) + (start + step) % len(COLOURS) for step in range(len(COLOURS))
        )
        taken[next(place for place in places if place not in taken)] = name
    return {
        name: Look(COLOURS[place % len(COLOURS)], DASHES[place // len(COLOURS) % len(DASHES)])
        for place, name in taken.items()
    }


@dataclass(frozen=True)
class _Measure:
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

_BESIDE = (
    _Measure(
        *("requests_per_second", "requests per second", "higher is better"),
        lambda row: count(row["requests_per_second"]),
        count,
    ),
    _Measure(
        *("p99_ms", "p99 latency", "lower is better"),
        lambda row: duration(1000 * row["p99_ms"]),
        lambda value: duration(1000 * value),
    ),
    _Measure(
        *("server_cpu_us_per_request", "CPU per request", "lower is better"),
        lambda row: duration(row["server_cpu_us_per_request"]),
        duration,
    ),
    _Measure(
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
    measure = _Measure(
        *("requests_per_second", axis, "higher is better", label, count),
        hollow=by_cpu,
        hollow_words="the load generator was the limit: what one core could serve, by its CPU time",
    )
    return _points(summary, measure)


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
    return _points(
        summary,
        _Measure(column, axis, "lower is better", lambda row: duration(row[column]), duration),
    )


def memory(summary: pd.DataFrame) -> Figure:
    """Draw the memory of the whole pool."""
    measure = _Measure(
        "memory_mib",
        "memory of all server processes, MiB (proportional set size)",
        "lower is better",
        lambda row: f"{count(row['memory_mib'])} MiB",
        count,
        log=False,
    )
    return _points(summary, measure)


def latency(summary: pd.DataFrame, histograms: Histograms) -> Figure:
    """Draw latency by percentile, as far as the number of requests supports it."""
    conditions = [
        (condition, rows)
        for condition, rows in by_condition(summary)
        if any((target, condition) in histograms for target in rows["target"])
    ]
    if not conditions:
        return _nothing()
    style = looks(summary["target"].tolist())
    with mpl.rc_context(STYLE):
        heights = [max(2.6, 0.2 * len(rows)) for _, rows in conditions]
        figure, panels = panels_of(heights)
        for panel, (condition, rows) in zip(panels, conditions, strict=True):
            panel.set_title(condition.words())
            _latency_lines(panel, rows["target"].tolist(), condition, histograms, style)
        panels[-1].set_xlabel("percentile of requests")
    return figure


def sweep(swept: Mapping[Place, Sequence[Swept]]) -> Figure:
    """Draw latency against offered load: a panel a place, p50 and p99 of every target."""
    targets = sorted({one.target for of_place in swept.values() for one in of_place})
    if not targets:
        return _nothing()
    style = looks(targets)
    with mpl.rc_context(STYLE):
        figure, panels = panels_of([max(3.4, 0.2 * len(one)) for one in swept.values()])
        for panel, ((workload, connection), of_place) in zip(panels, swept.items(), strict=True):
            panel.set_title(f"{workload}, {connection_words(connection)}")
            _sweep_lines(panel, of_place, style)
        panels[-1].set_xlabel("requests offered per second (log scale)")
    return figure


def _sweep_lines(panel: Axes, swept: Sequence[Swept], style: Mapping[str, Look]) -> None:
    panel.set_xscale("log")
    panel.set_yscale("log")
    ends = []
    for one in swept:
        look = style[one.target]
        offered = [point.offered for point in one.points]
        p50, p99 = ([getattr(point, name) for point in one.points] for name in ("p50_ms", "p99_ms"))
        panel.plot(offered, p50, color=look.colour, linestyle=look.dash, lw=0.9, alpha=0.8)
        panel.plot(
            *(offered, p99),
            color=look.colour,
            linestyle=look.dash,
            lw=1.8,
            marker="o",
            markersize=3.5,
        )
        last = p99[-1] if np.isfinite(p99[-1]) else p50[-1]
        ends.append((one.target, offered[-1], last, look.colour))
    panel.set_ylabel("response time (log scale)\nlower is better")
    panel.yaxis.set_major_formatter(FuncFormatter(lambda value, _: duration(1000 * value)))
    panel.yaxis.set_major_locator(log_ticks(panel.get_ylim()))
    panel.yaxis.set_minor_locator(NullLocator())
    low, high = panel.get_xlim()
    panel.set_xlim(low, high * (high / low) ** 0.22)
    panel.xaxis.set_major_locator(log_ticks(panel.get_xlim()))
    panel.xaxis.set_major_formatter(FuncFormatter(lambda value, _: count(value)))
    panel.xaxis.set_minor_locator(NullLocator())
    label_ends(panel, ends)


def beside(summary: pd.DataFrame, targets: Sequence[str]) -> Figure:
    """Draw a few targets side by side in all that was measured; the first in its own colour."""
    rows = summary[summary["target"].isin(targets) & (summary["trials"] > 0)]
    conditions = [
        (condition, sorted(group.to_dict("records"), key=lambda row: targets.index(row["target"])))
        for condition, group in by_condition(rows)
    ]
    if not conditions:
        return _nothing()
    measures = [measure for measure in _BESIDE if np.isfinite(rows[measure.column]).any()]
    reaches = {measure: _reach(rows, measure) for measure in measures}
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
            _share_x(list(column), reaches[measure], measure, room=0.75)
            for panel in column:
                panel.xaxis.set_visible(False)
    return figure


def _beside_line(
    line: Sequence[Axes],
    condition: Condition,
    group: Sequence[Row],
    reaches: Mapping[_Measure, tuple[float, float]],
    style: Mapping[str, Look],
) -> None:
    """Draw one condition: a panel for each measure, the names at the first."""
    measures = list(reaches)
    for panel, measure in zip(line, measures, strict=True):
        for place, row in enumerate(group):
            if np.isfinite(row[measure.column]):
                _point(panel, place, row, measure, style[row["target"]], reaches[measure])
        _name_rows(panel, group)
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


def to_svg(figure: Figure) -> str:
    """Return the figure as SVG, the same text each time."""
    buffer = io.StringIO()
    with mpl.rc_context(STYLE):
        settle(figure)
        figure.savefig(buffer, format="svg", metadata={"Date": None})
    return buffer.getvalue()


def to_png(figure: Figure) -> bytes:
    """Return the figure as PNG at 160 dots an inch."""
    buffer = io.BytesIO()
    with mpl.rc_context(STYLE):
        settle(figure)
        figure.savefig(buffer, format="png", dpi=160, metadata={"Software": None})
    return buffer.getvalue()


def settle(figure: Figure) -> None:
    """Lay a figure out once: to do it each time that it is saved would take as long as drawing."""
    layout = figure.get_layout_engine()
    if layout is not None:
        layout.execute(figure)
        # Not "none": that leaves a stand-in, for whose sake a figure is drawn twice when saved.
        figure.set_layout_engine(None)


def _points(summary: pd.DataFrame, measure: _Measure) -> Figure:
    conditions = [
        (condition, rows[np.isfinite(rows[measure.column])].to_dict("records"))
        for condition, rows in by_condition(summary)
    ]
    conditions = [(condition, rows) for condition, rows in conditions if rows]
    if not conditions:
        return _nothing()
    style = looks(summary["target"].tolist())
    every = [row for _, rows in conditions for row in rows]
    reach = _with_hollow(_reach(summary, measure), every, measure)
    with mpl.rc_context(STYLE):
        figure, panels = panels_of([ROW_IN * len(rows) + 0.1 for _, rows in conditions])
        for panel, (condition, rows) in zip(panels, conditions, strict=True):
            panel.set_title(condition.words())
            for place, row in enumerate(rows):
                _point(panel, place, row, measure, style[row["target"]], reach)
            _name_rows(panel, rows)
        _share_x(panels, reach, measure)
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


def _hollow(row: Row, measure: _Measure) -> float:
    return measure.hollow(row) if measure.hollow else float("nan")


def _with_hollow(
    reach: tuple[float, float], rows: Sequence[Row], measure: _Measure
) -> tuple[float, float]:
    known = [value for row in rows if np.isfinite(value := _hollow(row, measure))]
    return min([reach[0], *known]), max([reach[1], *known])


def _condition(row: Row) -> Condition:
    return Condition(*(row[name] for name in Condition._fields))


def panels_of(heights_in: Sequence[float]) -> tuple[Figure, list[Axes]]:
    """Return a figure with a panel a height, one above the other."""
    heights = list(heights_in)
    figure = Figure(
        figsize=(WIDTH_IN, sum(heights) + 0.62 * len(heights) + 0.4), layout="constrained"
    )
    panels = figure.subplots(len(heights), 1, squeeze=False, height_ratios=heights)
    return figure, list(panels[:, 0])


def _nothing() -> Figure:
    figure = Figure(figsize=(WIDTH_IN, 1))
    figure.text(0.5, 0.5, "nothing was measured", ha="center", va="center")
    return figure


def _reach(rows: pd.DataFrame, measure: _Measure) -> tuple[float, float]:
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


def _point(
    panel: Axes,
    place: int,
    row: Row,
    measure: _Measure,
    look: Look,
    reach: tuple[float, float],
) -> None:
    value = float(row[measure.column])
    ends = [float(row.get(f"{measure.column}_{end}", np.nan)) for end in ("low", "high")]
    low, high = shown = [float(np.clip(end, *reach)) for end in ends]
    start = value / 1e9 if measure.log else 0
    panel.plot([start, value], [place] * 2, color=look.colour, lw=6, alpha=0.3, ls="-", zorder=1)
    panel.plot(value, place, "o", color=look.colour, markersize=7, zorder=2)
    # Over the point and with ends of its own: an interval of 1% is narrower than the point.
    panel.plot([low, high], [place] * 2, "-", color=INK, lw=1.2, zorder=3)
    marked = [end for end, whole in zip(shown, ends, strict=True) if end == whole]
    panel.plot(marked, [place] * len(marked), "|", color=INK, mew=1.2, markersize=9, zorder=3)
    hollow = _hollow(row, measure)
    if np.isfinite(hollow):
        panel.plot([value, hollow], [place] * 2, color=look.colour, lw=1, ls=":", zorder=1)
        panel.plot(
            *(hollow, place, "o"),
            markerfacecolor="none",
            color=look.colour,
            markersize=7,
            mew=1.5,
            zorder=2,
        )
    panel.annotate(
        measure.label(row),
        (np.nanmax([value, high, hollow]), place),
        xytext=(9, 0),
        textcoords="offset points",
        va="center",
        fontsize=9,
    )


def _name_rows(panel: Axes, rows: Sequence[Row]) -> None:
    panel.set_yticks(range(len(rows)), [_short(row["target"]) for row in rows])
    panel.set_ylim(len(rows) - 0.4, -0.6)
    panel.grid(visible=False, axis="y")
    panel.spines["left"].set_visible(False)


def _share_x(
    panels: Sequence[Axes], reach: tuple[float, float], measure: _Measure, room: float = 0.42
) -> None:
    """Give panels one scale; `room` is what the labels need on the right, as a share of it."""
    smallest, largest = reach
    for panel in panels:
        if measure.log:
            panel.set_xscale("log")
            decades = max(np.log10(largest / smallest), 1)
            panel.set_xlim(smallest / 10 ** (0.12 * decades), largest * 10 ** (room * decades))
            panel.xaxis.set_major_locator(log_ticks(panel.get_xlim()))
            panel.xaxis.set_minor_locator(NullLocator())
        else:
            panel.set_xlim(0, largest * (0.8 + room) or 1)
        panel.xaxis.set_major_formatter(FuncFormatter(lambda value, _: measure.tick(value)))


def log_ticks(limits: tuple[float, float]) -> LogLocator:
    """Place ticks at each decade, and at 2 and 5 where decades alone would be too few."""
    few = limits[1] / limits[0] < 200
    return LogLocator(subs=(1.0, 2.0, 5.0) if few else (1.0,))


def _latency_lines(
    panel: Axes,
    targets: Sequence[str],
    condition: Condition,
    histograms: Histograms,
    style: Mapping[str, Look],
) -> None:
    ends = []
    for target in targets:
        histogram = histograms.get((target, condition))
        if histogram is None:
            continue
        shares = _supported_shares(histogram.count)
        if not shares.size:
            continue
        values = np.array(histogram.quantiles(shares.tolist())) / 1000
        look = style[target]
        panel.plot(_tail(shares), values, color=look.colour, linestyle=look.dash, linewidth=1.7)
        ends.append((target, float(_tail(shares)[-1]), float(values[-1]), look.colour))
    panel.set_yscale("log")
    panel.set_ylabel("latency (log scale)\nlower is better")
    panel.yaxis.set_major_formatter(FuncFormatter(lambda value, _: duration(1000 * value)))
    panel.yaxis.set_major_locator(log_ticks(panel.get_ylim()))
    panel.yaxis.set_minor_locator(NullLocator())
    if ends:
        _percentile_axis(panel, max(end[1] for end in ends))
        label_ends(panel, ends)


def _supported_shares(requests: int) -> Floats:
    """Return shares from 1% to the last one whose interval fits into the sample."""
    wanted = [*np.linspace(0.01, 0.5, 50), *(1 - 0.5 * np.logspace(0, -4.6, 93)[1:])]
    return np.array([share for share in wanted if quantile_ranks(requests, float(share))])


def _tail(shares: Floats) -> Floats:
    """Place a percentile by the nines in it, as HdrHistogram's own plots do."""
    return np.asarray(-np.log10(1 - shares))


def _percentile_axis(panel: Axes, last: float) -> None:
    marks = [0, 0.5, 0.9, 0.99, 0.999, 0.9999]
    shown = [mark for mark in marks if _tail(np.array([mark]))[0] <= last + 1e-9]
    panel.set_xticks([float(_tail(np.array([mark]))[0]) for mark in shown])
    panel.set_xticklabels([f"{100 * mark:.6g}%" for mark in shown])
    panel.set_xlim(0, last * 1.3)


def label_ends(panel: Axes, ends: Sequence[tuple[str, float, float, str]]) -> None:
    """Write each name at the end of its line, pushed apart where they would overlap."""
    low, high = np.log10(panel.get_ylim())
    step = (high - low) * min(0.062, 1 / len(ends))
    wanted = [float(np.log10(end[2])) for end in ends]
    places = spread(wanted, step, low + step / 2, high - step / 2)
    edge = max(end[1] for end in ends)
    for (target, x, y, colour), place in zip(ends, places, strict=True):
        # The leader is level up to the longest line's end, then bends to its name.
        leader = ([x, edge, edge * 1.06], [y, y, 10**place])
        panel.plot(*leader, color=colour, lw=0.6, ls="-", alpha=0.7)
        panel.annotate(_short(target), (edge * 1.07, 10**place), va="center", fontsize=8.5)
    panel.set_ylim(10**low, 10**high)


def spread(wanted: Sequence[float], step: float, bottom: float, top: float) -> list[float]:
    """Return places near the wanted ones, `step` apart, within bottom..top if they fit."""
    downwards = sorted(range(len(wanted)), key=lambda index: -wanted[index])
    places = list(wanted)
    limit = top
    for index in downwards:
        places[index] = min(wanted[index], limit)
        limit = places[index] - step
    limit = bottom
    for index in reversed(downwards):
        places[index] = max(places[index], limit)
        limit = places[index] + step
    return places


def _short(name: str) -> str:
    return name if len(name) <= 28 else f"{name[:27]}…"
