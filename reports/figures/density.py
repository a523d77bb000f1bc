"""The figures of density: throughput and memory against tenants (log-log), and cold starts."""

from __future__ import annotations

import math
from collections.abc import Sequence

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, NullFormatter

from harness.results.analysis.tenant_cost import TenantCost, tenant_costs
from harness.results.format import count
from reports.figures.style import FAINT, INK, ROW_IN, STYLE, WIDTH_IN, Look, looks, short_name
from reports.words.density import each

_STYLE_OF = {"uniform": "-"}


def curves(density: pd.DataFrame) -> Figure:
    """Draw requests per second and memory against tenants, a line a target and popularity.

    Solid lines are of uniform popularity, dotted ones of another. A cross is where a target's line
    meets the memory that was free.
    """
    good = density[density["p99_ms"].notna() & density["memory_mib"].notna()]
    style = looks(list(good["target"].unique()))
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(WIDTH_IN, 8.2), layout="constrained")
        rates, memory = figure.subplots(2, 1, sharex=True)
        named: set[str] = set()
        for (target, popularity), rows in good.groupby(["target", "popularity"], sort=False):
            look, dash = style[str(target)], _STYLE_OF.get(str(popularity), ":")
            line = {"color": look.colour, "ls": dash, "lw": 1.4, "marker": "o", "markersize": 3}
            label = None if target in named else short_name(str(target))
            named.add(str(target))
            rows = rows.sort_values("tenants")
            rates.plot(rows["tenants"], rows["requests_per_second"], label=label, **line)
            memory.plot(rows["tenants"], rows["memory_mib"], **line)
        _ends(memory, list(tenant_costs(density)), style, good["available_mib"].median())
        for panel, title in ((rates, "requests per second"), (memory, "memory, MiB (PSS)")):
            panel.set_xscale("log")
            panel.set_yscale("log")
            _name_ticks(panel.xaxis)
            _name_ticks(panel.yaxis)
            panel.set_title(title)
        memory.set_xlabel("tenants")
        figure.legend(loc="outside lower center", ncols=4, frameon=False, fontsize=8.5)
    return figure


def _name_ticks(axis: Axis) -> None:
    """Write numbers as they are read, and not as powers of ten."""
    axis.set_major_formatter(FuncFormatter(lambda value, _: count(value)))
    axis.set_minor_formatter(NullFormatter())


def _ends(panel: Axes, costs: Sequence[TenantCost], style: dict[str, Look], room: float) -> None:
    """Extend each target's fitted line to where the free memory ends."""
    if math.isnan(room):
        return
    panel.axhline(room, color=FAINT, lw=1)
    for cost in costs:
        line, end = cost.line, min(cost.most_tenants, cost.furthest)
        if line is None or not math.isfinite(cost.most_tenants) or end <= cost.tenants:
            continue
        x = np.geomspace(cost.tenants, end, 20)
        look = style[cost.target]
        panel.plot(x, line.start + line.slope.mid * x, color=look.colour, lw=0.8, alpha=0.5)
        if cost.most_tenants <= cost.furthest:
            panel.plot(end, room, "x", color=look.colour, markersize=7)


def cold_starts(starts: pd.DataFrame) -> Figure:
    """Draw the median and the 99th percentile of each kind of cold start, on a log scale."""
    good = starts[starts["p50_ms"].notna()]
    style = looks(list(good["target"].unique()))
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(WIDTH_IN, ROW_IN * len(good) + 0.8), layout="constrained")
        panel = figure.subplots()
        for place, row in enumerate(each(good)):
            colour = style[str(row.target)].colour
            panel.plot([row.p50_ms, row.p99_ms], [place] * 2, color=colour, lw=4, alpha=0.35)
            panel.plot(row.p50_ms, place, "o", color=colour, markersize=6)
            panel.plot(row.p99_ms, place, "|", color=INK, markersize=9)
        labels = [
            f"{short_name(str(row.target))}, {row.state}, {row.page_cache}" for row in each(good)
        ]
        panel.set_yticks(range(len(labels)), labels)
        panel.set_ylim(len(labels) - 0.4, -0.6)
        panel.set_xscale("log")
        _name_ticks(panel.xaxis)
        panel.set_xlabel("first answer, ms: median (dot) to p99 (bar)")
    return figure
