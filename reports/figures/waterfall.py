"""The waterfall: where the time of a request goes, a bar for each target.

Bars are to scale: a stretch twice as long took twice the time. Targets are up to a hundred times
apart, so each panel holds those of one magnitude and has a scale of its own.

A stacked bar has no meaning on a log scale, where lengths do not add. So the panel that sets all
targets side by side is a matrix, whose colours are logarithmic: each cell is what a group of phases
took.
"""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Final

import matplotlib as mpl
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.patches import Patch, Rectangle
from matplotlib.ticker import FuncFormatter, MaxNLocator

from harness.results.format import duration
from reports.figures.phase_groups import ORDER, group_of
from reports.figures.style import COLOURS, INK, PAPER, STYLE, mark, said_of

_WIDTH_IN: Final = 7.6
_BAR_IN: Final = 0.30
_CELL_IN: Final = 0.25
_COLUMN_CHARACTERS: Final = 10
_LEGEND_IN: Final = 0.75
_APART: Final = 6.0
"""Targets that differ by more than this get panels of their own."""

_MORE_COLOURS: Final = ("#aa3377", "#228833", "#ccbb44", "#222255", "#000000")
_LOOKS: Final = dict(zip(ORDER, (*COLOURS, *_MORE_COLOURS), strict=True))
_AFTERWARDS_ALPHA: Final = 0.4


@dataclass(frozen=True)
class Bar:
    """One target: its service time and its phases as rows of phases.parquet."""

    target: str
    service_us: float
    phases: pd.DataFrame

    def of(self, part: str) -> pd.DataFrame:
        """Return the phases of the part "request" or "afterwards", in order."""
        return self.phases[self.phases["part"] == part].sort_values("order")

    @property
    def afterwards_us(self) -> float:
        """What follows after the answer."""
        return float(self.of("afterwards")["median_us"].sum())

    @property
    def reach_us(self) -> float:
        """Where the bar ends."""
        return self.service_us + self.afterwards_us

    @cached_property
    def groups(self) -> Mapping[str, float]:
        """What each group of phases took, in microseconds, those after the answer included."""
        of_phases = self.phases["phase"].map(group_of)
        took = self.phases["median_us"].groupby(of_phases).sum()
        return {str(group): float(time_us) for group, time_us in took.items()}

    @property
    def label(self) -> str:
        """How long a request took, and what followed."""
        then = f", then {duration(self.afterwards_us)}" if self.afterwards_us else ""
        return f"{duration(self.service_us)}{then}"


def bars(phases: pd.DataFrame, profiles: pd.DataFrame) -> list[Bar]:
    """Return a bar for each target, the quickest first."""
    found = [
        Bar(str(row["target"]), float(row["service_us"]), phases[phases["target"] == row["target"]])
        for row in profiles.to_dict("records")
    ]
    return sorted(found, key=lambda bar: bar.service_us)


def magnitudes(found: Sequence[Bar]) -> list[list[Bar]]:
    """Divide bars, the quickest first, into panels: in none is one much longer than another."""
    panels: list[list[Bar]] = []
    for bar in found:
        if panels and bar.service_us <= _APART * panels[-1][0].service_us:
            panels[-1].append(bar)
        else:
            panels.append([bar])
    return panels


def waterfall(phases: pd.DataFrame, profiles: pd.DataFrame) -> Figure:
    """Draw the bars, and the matrix of all targets."""
    found = bars(phases, profiles)
    panels = magnitudes(found)
    heights = [_BAR_IN * len(panel) + 0.62 for panel in panels]
    heights.append(_CELL_IN * len(found) + 1.0)
    with mpl.rc_context(STYLE):
        total = sum(heights) + _LEGEND_IN
        layout = ConstrainedLayoutEngine(rect=(0, 0, 1, 1 - _LEGEND_IN / total))
        figure = Figure(figsize=(_WIDTH_IN, total), layout=layout)
        axes = figure.subplots(len(heights), 1, height_ratios=heights, squeeze=False)[:, 0]
        for panel, of_panel in zip(axes, panels, strict=False):
            _draw_bars(panel, of_panel)
        _draw_matrix(axes[-1], found)
        met = [group for group in ORDER if any(group in bar.groups for bar in found)]
        figure.legend(
            handles=[Patch(color=_LOOKS[group], label=group) for group in met],
            loc="upper left", ncols=4, frameon=False, fontsize=8.5,
        )  # fmt: skip
    return figure


def _draw_bars(panel: Axes, found: Sequence[Bar]) -> None:
    for place, bar in enumerate(found):
        left = 0.0
        for part, alpha in (("request", 1.0), ("afterwards", _AFTERWARDS_ALPHA)):
            left = bar.service_us if part == "afterwards" else left
            for row in bar.of(part).to_dict("records"):
                colour = _LOOKS[group_of(row["phase"])]
                drawn = Rectangle(
                    (left, place - 0.31), row["median_us"], 0.62, facecolor=colour, alpha=alpha,
                    edgecolor=PAPER, linewidth=0.4,
                )  # fmt: skip
                panel.add_patch(drawn)
                took = f"{row['phase']} {duration(row['median_us'])}"
                mark([drawn], bar.target, said_of(bar.target, took))
                left += row["median_us"]
        panel.plot([bar.service_us] * 2, [place - 0.42, place + 0.42], color=INK, lw=1.4)
        panel.annotate(
            bar.label, (max(left, bar.service_us), place), (5, 0),
            textcoords="offset points", va="center", fontsize=8.5,
        )  # fmt: skip
    _name_rows(panel, found)
    panel.set_ylim(len(found) - 0.4, -0.6)
    panel.set_xlim(0, 1.24 * max(bar.reach_us for bar in found))
    panel.xaxis.set_major_locator(MaxNLocator(6))
    panel.xaxis.set_major_formatter(
        FuncFormatter(lambda value, _: duration(value) if value else "0")
    )
    panel.grid(visible=False, axis="y")


def _name_rows(panel: Axes, found: Sequence[Bar]) -> None:
    panel.set_yticks(range(len(found)), [bar.target for bar in found])
    for name, bar in zip(panel.get_yticklabels(), found, strict=True):
        mark([name], bar.target)


def _draw_matrix(panel: Axes, found: Sequence[Bar]) -> None:
    met = [group for group in ORDER if any(group in bar.groups for bar in found)]
    every = [value for bar in found for value in bar.groups.values() if value > 0]
    norm = LogNorm(max(0.1, min(every)), max(every))
    shades = mpl.colormaps["YlOrBr"]
    for place, bar in enumerate(found):
        for column, group in enumerate(met):
            value = bar.groups.get(group, 0.0)
            if value <= 0:
                continue
            shade = shades(0.05 + 0.75 * float(norm(value)))
            corner = (column - 0.48, place - 0.47)
            panel.add_patch(Rectangle(corner, 0.96, 0.94, facecolor=shade, linewidth=0))
            dark = norm(value) > 0.8
            cell = panel.text(
                column, place, duration(value), ha="center", va="center", fontsize=7,
                color="#fffffe" if dark else "#22272f",
            )  # fmt: skip
            cell.set_in_layout(False)  # it has its place, and to measure it takes long
    panel.set_title("Groups of phases, after the answer included; colours on a log scale")
    _name_rows(panel, found)
    panel.set_ylim(len(found) - 0.5, -0.5)
    panel.set_xlim(-0.5, len(met) - 0.5)
    panel.set_xticks(range(len(met)), [_wrapped(group) for group in met], fontsize=6)
    panel.spines[["left", "bottom"]].set_visible(False)
    panel.grid(visible=False)


def _wrapped(name: str) -> str:
    """Return a group's name in lines that fit below its column."""
    return textwrap.fill(name, _COLUMN_CHARACTERS, break_long_words=False)
