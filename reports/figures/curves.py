"""Latency as curves: by percentile, and against the offered load."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, NullLocator

from harness.results.analysis.load_curve import Place, Swept
from harness.results.conditions import Condition, by_condition
from harness.results.format import connection_words, count, duration
from harness.stats.histogram import Histogram
from harness.stats.intervals import has_quantile
from reports.figures.style import (
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

Floats = np.ndarray[Any, np.dtype[np.float64]]
Histograms = Mapping[tuple[str, Condition], Histogram]


def latency(summary: pd.DataFrame, histograms: Histograms) -> Figure:
    """Draw latency by percentile, as far as the number of requests supports it."""
    conditions = [
        (condition, rows)
        for condition, rows in by_condition(summary)
        if any((target, condition) in histograms for target in rows["target"])
    ]
    if not conditions:
        return nothing_measured()
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
        return nothing_measured()
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
        lines = panel.plot(offered, p50, color=look.colour, linestyle=look.dash, lw=0.9, alpha=0.8)
        lines += panel.plot(
            *(offered, p99),
            color=look.colour,
            linestyle=look.dash,
            lw=1.8,
            marker="o",
            markersize=3.5,
        )
        last = p99[-1] if np.isfinite(p99[-1]) else p50[-1]
        said = f"p99 {duration(1000 * last)}" if last == p99[-1] else f"p50 {duration(1000 * last)}"
        mark(lines, one.target, said_of(one.target, f"{said} at {count(offered[-1])} requests/s"))
        ends.append((one.target, offered[-1], last, look.colour))
    panel.set_ylabel("response time (log scale)\nlower is better")
    _latency_axis(panel)
    low, high = panel.get_xlim()
    panel.set_xlim(low, high * (high / low) ** 0.22)
    panel.xaxis.set_major_locator(log_ticks(panel.get_xlim()))
    panel.xaxis.set_major_formatter(FuncFormatter(lambda value, _: count(value)))
    panel.xaxis.set_minor_locator(NullLocator())
    label_ends(panel, ends)


def _latency_axis(panel: Axes) -> None:
    """Mark a logarithmic axis of milliseconds at round durations."""
    panel.yaxis.set_major_formatter(FuncFormatter(lambda value, _: duration(1000 * value)))
    panel.yaxis.set_major_locator(log_ticks(panel.get_ylim()))
    panel.yaxis.set_minor_locator(NullLocator())


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
        lines = panel.plot(_tail(shares), values, color=look.colour, linestyle=look.dash, lw=1.7)
        p50, p99 = (duration(value) for value in histogram.quantiles([0.5, 0.99]))
        mark(lines, target, said_of(target, f"p50 {p50}, p99 {p99}"))
        ends.append((target, float(_tail(shares)[-1]), float(values[-1]), look.colour))
    panel.set_yscale("log")
    panel.set_ylabel("latency (log scale)\nlower is better")
    _latency_axis(panel)
    if ends:
        _percentile_axis(panel, max(end[1] for end in ends))
        label_ends(panel, ends)


def _supported_shares(requests: int) -> Floats:
    """Return shares from 1% to the last one whose interval fits into the sample."""
    wanted = [*np.linspace(0.01, 0.5, 50), *(1 - 0.5 * np.logspace(0, -4.6, 93)[1:])]
    return np.array([share for share in wanted if has_quantile(requests, float(share))])


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
        drawn = panel.plot(*leader, color=colour, lw=0.6, ls="-", alpha=0.7)
        name = (short_name(target), (edge * 1.07, 10**place))
        mark([*drawn, panel.annotate(*name, va="center", fontsize=8.5)], target)
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
