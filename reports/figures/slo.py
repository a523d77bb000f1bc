"""The figure of a promise: the highest rate that keeps it, target by target, on a log scale."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import partial
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, NullLocator

from harness.results.analysis.slo import Kept
from harness.results.format import count
from reports.figures.style import (
    FAINT,
    INK,
    ROW_IN,
    STYLE,
    WIDTH_IN,
    Look,
    log_ticks,
    looks,
    mark,
    nothing_measured,
    said_of,
    short_name,
)

_LOOKS: dict[str, dict[str, Any]] = {
    "kept": {"marker": "o", "markerfacecolor": "none"},
    "broken": {"marker": "x"},
    "overloaded": {"marker": "x"},
    "generator-bound": {"marker": "|"},
}


def rates(found: Sequence[Kept], loads: pd.DataFrame) -> Figure:
    """Draw each target's rate with its interval, over the rates that were tried."""
    known = [one for one in found if one.blocks and not one.is_never]
    if not known:
        return nothing_measured()
    style = looks([one.target for one in found])
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(WIDTH_IN, ROW_IN * len(known) + 1.1), layout="constrained")
        panel = figure.subplots()
        panel.set_xscale("log")
        for place, one in enumerate(known):
            _tried(panel, place, loads[loads["target"] == one.target])
            _point(panel, place, one, style[one.target])
        panel.set_yticks(range(len(known)), [short_name(one.target) for one in known])
        panel.set_ylim(len(known) - 0.4, -0.6)
        panel.set_xlabel("requests per second that keep the promise")
        _ticks(panel)
        _of_tenants(panel, known[0])
    return figure


def _tried(panel: Axes, place: int, loads: pd.DataFrame) -> None:
    for verdict, how in _LOOKS.items():
        tried = loads[loads["verdict"] == verdict]["offered_per_second"].dropna()
        tried = tried[tried > 0]
        panel.plot(tried, [place + 0.28] * len(tried), ls="", color=FAINT, markersize=4, **how)


def _point(panel: Axes, place: int, one: Kept, look: Look) -> None:
    rate = one.rate
    low, high = (count(end) if math.isfinite(end) else "" for end in (rate.low, rate.high))
    artists = panel.plot(rate.mid, place, ">" if one.at_least else "o", color=look.colour, ms=6)
    if math.isfinite(rate.low):
        artists += panel.plot([rate.low, rate.high], [place] * 2, color=INK, lw=1)
    mark(artists, one.target, said_of(one.target, f"{count(rate.mid)} req/s", low, high))


def _ticks(panel: Axes) -> None:
    panel.xaxis.set_major_locator(log_ticks(panel.get_xlim()))
    panel.xaxis.set_minor_locator(NullLocator())
    panel.xaxis.set_major_formatter(FuncFormatter(lambda value, _place: count(value)))


def _of_tenants(panel: Axes, one: Kept) -> None:
    """Add a scale of tenants a core, where a tenant's rate is given."""
    rate = one.rate_per_tenant * one.cores
    if not math.isfinite(rate):
        return
    top = panel.secondary_xaxis(
        "top", functions=(partial(np.multiply, 1 / rate), partial(np.multiply, rate))
    )
    top.set_xlabel(f"tenants a core, at {count(one.rate_per_tenant)} requests a second each")
    top.xaxis.set_major_locator(log_ticks(panel.get_xlim()))
    top.xaxis.set_major_formatter(FuncFormatter(lambda value, _place: count(value)))
    top.xaxis.set_minor_locator(NullLocator())
