"""The figure of noisy neighbours: a panel for each way of limiting, modes by kinds of noise."""

from __future__ import annotations

import math
from collections.abc import Sequence

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.colors import Colormap, LinearSegmentedColormap
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from harness.results.analysis.neighbour import NOISES, Effect
from reports.figures.style import FAINT, INK, ROW_IN, STYLE, WIDTH_IN, short_name
from reports.words.neighbour import TITLES, label

_WORST = 100.0
"""The ratio, and beyond, with the strongest colour."""
_COLOURS: Colormap = LinearSegmentedColormap.from_list("noise", ["#ffffff", "#ee7733", "#cc3311"])
_DARK = 0.75


def matrix(effects: Sequence[Effect]) -> Figure:
    """Draw the ratio of the quiet tenant's p99 beside each noise to that alone."""
    panels = list(dict.fromkeys(one.limits for one in effects))
    targets = ranked(effects)
    noises = [name for name in NOISES if name in {one.noise for one in effects}]
    with mpl.rc_context(STYLE):
        height = (ROW_IN * len(targets) + 0.7) * len(panels) + 0.2
        figure = Figure(figsize=(WIDTH_IN, height), layout="constrained")
        axes = figure.subplots(len(panels), 1, squeeze=False)[:, 0]
        for panel, limits in zip(axes, panels, strict=True):
            _panel(panel, [one for one in effects if one.limits == limits], targets, noises)
            panel.set_title(TITLES.get(limits, limits))
    return figure


def ranked(effects: Sequence[Effect]) -> list[str]:
    """Return the targets, those first whose quiet tenant suffers least."""
    badness: dict[str, list[float]] = {}
    for one in effects:
        badness.setdefault(one.target, []).append(_shade(one))
    return sorted(badness, key=lambda name: sum(badness[name]) / len(badness[name]))


def _panel(
    panel: Axes, effects: Sequence[Effect], targets: Sequence[str], noises: Sequence[str]
) -> None:
    for one in effects:
        _cell(panel, one, noises.index(one.noise), targets.index(one.target))
    panel.set_xlim(-0.5, len(noises) - 0.5)
    panel.set_ylim(len(targets) - 0.5, -0.5)
    panel.set_xticks(range(len(noises)), noises)
    panel.set_yticks(range(len(targets)), [short_name(name) for name in targets])
    panel.grid(visible=False)
    for spine in panel.spines.values():
        spine.set_visible(False)


def _cell(panel: Axes, one: Effect, x: int, y: int) -> None:
    shade = _shade(one)
    box = Rectangle(
        (x - 0.48, y - 0.46), 0.96, 0.92, facecolor=_COLOURS(shade), edgecolor=FAINT, lw=0.6
    )
    panel.add_patch(box)
    colour = "#ffffff" if shade > _DARK else INK
    weight = "bold" if one.is_shown else "normal"
    panel.text(
        x, y, label(one), ha="center", va="center", fontsize=7.6, color=colour, fontweight=weight
    )


def _shade(one: Effect) -> float:
    """Return how strong a cell's colour is, from 0 to 1."""
    if math.isnan(one.ratio.mid):
        return 0.0
    return max(one.lost, min(1.0, max(0.0, math.log(one.ratio.mid) / math.log(_WORST))))
