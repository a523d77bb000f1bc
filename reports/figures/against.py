"""The figure of two runs: a row for each target, BASE hollow above NEW."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import matplotlib as mpl
import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, NullLocator

from harness.stats.intervals import Interval
from reports.figures.style import (
    INK,
    STYLE,
    Look,
    log_ticks,
    looks,
    mark,
    panels_of,
    said_of,
    short_name,
)

_ROW_IN = 0.36
_APART = 0.17
_ROOM = 0.55
"""What the labels need on the right, as a share of the scale."""


@dataclass(frozen=True)
class Pair:
    """A target in both runs; `moved` says by how much, and what `compare` found."""

    target: str
    base: Interval
    new: Interval
    moved: str


def against(
    conditions: Sequence[tuple[str, Sequence[Pair]]], axis: str, tick: Callable[[float], str]
) -> Figure:
    """Draw one metric: a panel for each condition, by its words."""
    pairs = [pair for _, found in conditions for pair in found]
    style = looks([pair.target for pair in pairs])
    with mpl.rc_context(STYLE):
        figure, panels = panels_of([_ROW_IN * len(found) + 0.1 for _, found in conditions])
        for panel, (words, found) in zip(panels, conditions, strict=True):
            panel.set_title(words)
            panel.set_xscale("log")
            for place, pair in enumerate(found):
                _draw(panel, place, pair, style[pair.target], tick)
            _name(panel, found)
        _scale(panels, pairs, tick)
        panels[-1].set_xlabel(axis)
        marks = [
            Line2D([], [], marker="o", ls="", color=INK, mfc=fill, markersize=6, label=label)
            for fill, label in (("none", "BASE"), (INK, "NEW"))
        ]
        figure.legend(handles=marks, loc="outside lower left", ncols=2, frameon=False)
    return figure


def _draw(panel: Axes, place: int, pair: Pair, look: Look, tick: Callable[[float], str]) -> None:
    for side, one, row in (("BASE", pair.base, place - _APART), ("NEW", pair.new, place + _APART)):
        fill = "none" if side == "BASE" else look.colour
        drawn: list[Artist] = [
            *panel.plot(one.mid, row, "o", color=look.colour, mfc=fill, markersize=6, mew=1.4),
            *panel.plot([one.low, one.high], [row] * 2, "-", color=INK, lw=1.2, zorder=3),
        ]
        ends = [tick(end) if np.isfinite(end) else "" for end in (one.low, one.high)]
        mark(drawn, pair.target, said_of(f"{pair.target}, {side}", tick(one.mid), *ends))
    furthest = np.nanmax([pair.base.mid, pair.base.high, pair.new.mid, pair.new.high])
    label = panel.annotate(
        pair.moved,
        (furthest, place),
        xytext=(9, 0),
        textcoords="offset points",
        va="center",
        fontsize=8.5,
    )
    mark([label], pair.target, f"{pair.target}: {pair.moved}")


def _name(panel: Axes, found: Sequence[Pair]) -> None:
    panel.set_yticks(range(len(found)), [short_name(pair.target) for pair in found])
    for name, pair in zip(panel.get_yticklabels(), found, strict=True):
        mark([name], pair.target)
    panel.set_ylim(len(found) - 0.4, -0.6)
    panel.grid(visible=False, axis="y")
    panel.spines["left"].set_visible(False)


def _scale(panels: Sequence[Axes], pairs: Sequence[Pair], tick: Callable[[float], str]) -> None:
    mids = [one.mid for pair in pairs for one in (pair.base, pair.new)]
    low, high = min(mids), max(mids)
    decades = max(np.log10(high / low), 1)
    for panel in panels:
        panel.set_xlim(low / 10 ** (0.12 * decades), high * 10 ** (_ROOM * decades))
        panel.xaxis.set_major_locator(log_ticks(panel.get_xlim()))
        panel.xaxis.set_minor_locator(NullLocator())
        panel.xaxis.set_major_formatter(FuncFormatter(lambda value, _: tick(value)))
