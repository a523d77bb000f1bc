"""The figure of what isolation costs a page: a column for each page, a row for each target."""

from __future__ import annotations

from collections.abc import Sequence

import matplotlib as mpl
import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.text import Annotation
from matplotlib.ticker import FuncFormatter

from harness.results.analysis.page_cost import PAGES_US, PageCosts
from harness.results.format import duration, percent
from reports.figures.style import (
    FAINT,
    INK,
    ROW_IN,
    STYLE,
    WIDTH_IN,
    Look,
    looks,
    mark,
    said_of,
)

_MIDDLE = 0.5
"""From here on a label has more room on the left of its point."""
_TOP = 1.08


def shares(pages: Sequence[PageCosts]) -> Figure:
    """Draw each target's share of the baseline's capacity by page, with what was measured."""
    heights = [ROW_IN * len(one.costs) + 0.1 for one in pages]
    style = looks([cost.target for one in pages for cost in one.costs])
    with mpl.rc_context(STYLE):
        figure = Figure(
            figsize=(WIDTH_IN, sum(heights) + 0.62 * len(heights) + 0.4), layout="constrained"
        )
        parts = figure.subfigures(len(pages), 1, squeeze=False, height_ratios=heights)[:, 0]
        for part, one in zip(parts, pages, strict=True):
            part.suptitle(one.condition.words(), x=0.01, ha="left", fontsize=10.5, weight="bold")
            columns = part.subplots(1, len(PAGES_US), squeeze=False, sharey=True)[0]
            for place, panel in enumerate(columns):
                _column(panel, one, place, style)
            for name, cost in zip(columns[0].get_yticklabels(), one.costs, strict=False):
                mark([name], cost.target)
    return figure


def _column(panel: Axes, pages: PageCosts, place: int, style: dict[str, Look]) -> None:
    for row, cost in enumerate(pages.costs):
        share, look = cost.shares[place], style[cost.target]
        low, high = np.clip([share.low, share.high], 0, _TOP)
        drawn: list[Artist] = [
            *panel.plot([0, share.mid], [row] * 2, color=look.colour, lw=6, alpha=0.3),
            *panel.plot(share.mid, row, "o", color=look.colour, markersize=6),
            *panel.plot([low, high], [row] * 2, "-", color=INK, lw=1.2),
        ]
        check = pages.check(cost.target, PAGES_US[place])
        if check is not None:
            point = min(check.measured.mid, _TOP)
            drawn += panel.plot(*(point, row, "D"), mfc="none", mec=INK, mew=1.2, markersize=7)
        drawn.append(_label(panel, row, share.mid))
        ends = [percent(end) for end in (share.low, share.high) if np.isfinite(end)]
        mark(drawn, cost.target, said_of(cost.target, percent(share.mid), *ends))
    panel.set_yticks(range(len(pages.costs)), [cost.target for cost in pages.costs])
    panel.set_ylim(len(pages.costs) - 0.4, -0.6)
    panel.set_xlim(0, _TOP)
    panel.set_xticks([0, 0.5, 1])
    panel.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{100 * value:.0f}%"))
    panel.grid(visible=False, axis="y")
    panel.axvline(1, color=FAINT, lw=0.8, zorder=0)
    panel.spines["left"].set_visible(False)
    panel.set_title(duration(PAGES_US[place]), fontsize=9, fontweight="normal")


def _label(panel: Axes, row: int, share: float) -> Annotation:
    left = share > _MIDDLE
    label = panel.annotate(
        percent(share),
        (share, row),
        xytext=(-8 if left else 8, 0),
        textcoords="offset points",
        ha="right" if left else "left",
        va="center",
        fontsize=8.5,
        zorder=Line2D.zorder,  # in the page one group with its point
    )
    label.set_in_layout(False)  # it lies in the panel
    return label
