"""The figures of the attacks: the matrix, and security against speed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import matplotlib as mpl
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, NullLocator

from harness.results.conditions import Condition
from harness.results.format import count, duration, percent
from reports.figures import labels
from reports.figures.style import (
    COLOURS,
    FAINT,
    INK,
    STYLE,
    WIDTH_IN,
    log_ticks,
    looks,
    mark,
    panels_of,
    said_of,
    settle,
    text_width_pt,
)
from reports.words import attacks as hostility
from reports.words.attacks import Place

_GOOD, _BAD = COLOURS[2], COLOURS[3]
_ROW_IN = 0.155
# Names of products with a factor are longer than those of modes, and stand aslant above.
_USUAL_NAME, _LETTER_IN = 16, 0.06
_MANY_COLUMNS = 20
_TOP = 1.03
_NAME_PT, _RADIUS_PT = 7.2, 3.75
# A panel has room for a few names; each more makes it higher.
_PANEL_IN, _NAME_IN, _FEW = 3.0, 0.06, 8
_RING, _BOTH = "white", (0, (4, 2))
_KEEPS_BOTH = "keeps a tenant's requests apart, too; the best of these"
_KEEPS_ONE = "between tenants only; the best of all"
_MARKERS = {"succeeded": ("s", _BAD), "blocked": (".", _GOOD), "error": ("X", INK)}


def matrix(attacks: pd.DataFrame) -> Figure:
    """Draw what became of each attack on each target, by family; the safest target first."""
    targets = [one.target for one in hostility.standings(attacks)]
    names = attacks.drop_duplicates("attack")[["family", "attack"]].to_dict("records")
    families = list(dict.fromkeys(row["family"] for row in names))
    # A line for the name of each family, above its attacks.
    lines: list[tuple[str, str]] = []
    for family in families:
        lines.append((family, ""))
        lines += [(family, row["attack"]) for row in names if row["family"] == family]
    place = {attack: number for number, (_, attack) in enumerate(lines) if attack}
    with mpl.rc_context(STYLE):
        longer = max(max(map(len, targets)) - _USUAL_NAME, 0)
        height = _ROW_IN * len(lines) + 1.6 + _LETTER_IN * longer
        figure = Figure(figsize=(WIDTH_IN, height), layout="constrained")
        panel = figure.subplots()
        for outcome, (marker, colour) in _MARKERS.items():
            rows = attacks[attacks["outcome"] == outcome]
            panel.scatter(
                [targets.index(name) for name in rows["target"]],
                [place[name] for name in rows["attack"]],
                marker=marker,
                c=colour,
                s=36,
                linewidths=0.6,
                label=outcome,
            )
        _name_columns(panel, targets)
        for name, target in zip(panel.get_xticklabels(), targets, strict=True):
            mark([name], target)
        panel.xaxis.tick_top()
        panel.set_xlim(-0.6, len(targets) - 0.4)
        panel.set_ylim(len(lines) - 0.3, -0.9)
        panel.set_yticks(
            range(len(lines)),
            [attack.replace("_", " ") or family for family, attack in lines],
            fontsize=7.6,
        )
        for label, (_, attack) in zip(panel.get_yticklabels(), lines, strict=True):
            if not attack:
                label.set_fontweight("bold")
                label.set_fontsize(8.6)
        for number, (_, attack) in enumerate(lines):
            if not attack:
                panel.axhline(number + 0.5, color=FAINT, lw=0.8)
        panel.grid(visible=False, axis="y")
        for spine in panel.spines.values():
            spine.set_visible(False)
        figure.legend(loc="outside lower center", ncols=len(_MARKERS), frameon=False, fontsize=8.5)
    return figure


def _name_columns(panel: Axes, names: Sequence[str]) -> None:
    """Have names stand aslant above their columns; upright and smaller where these are many."""
    places = range(len(names))
    if len(names) > _MANY_COLUMNS:
        panel.set_xticks(places, names, rotation=90, ha="center", va="bottom", fontsize=_NAME_PT)
    else:
        panel.set_xticks(places, names, rotation=55, ha="left", rotation_mode="anchor")


def frontier(found: Sequence[tuple[Condition, Sequence[Place]]]) -> Figure:
    """Draw the share of attacks between tenants stopped against rate and p99, by condition.

    Two panels a condition. A full mark keeps a tenant's requests apart as well, a ring does not.
    """
    with mpl.rc_context(STYLE):
        heights = [
            _PANEL_IN + _NAME_IN * max(len(placed) - _FEW, 0) for _, placed in found for _ in "rp"
        ]
        figure, panels = panels_of(heights)
        named = []
        for number, (condition, placed) in enumerate(found):
            against_rate, against_p99 = panels[2 * number : 2 * number + 2]
            named += [_against_rate(against_rate, condition, placed)]
            named += [_against_p99(against_p99, placed)]
        if any(hostility.keep_requests_apart(placed) for _, placed in found):
            figure.legend(
                handles=[
                    Line2D([], [], color=INK, marker="o", lw=1.1, ls=_BOTH, label=_KEEPS_BOTH),
                    Line2D([], [], color=INK, marker="o", lw=1.1, mfc=_RING, label=_KEEPS_ONE),
                ],
                loc="outside lower center",
                ncols=2,
                frameon=False,
                fontsize=8.5,
            )
        settle(figure)
        # Only now is it known where the points are.
        for panel, (points, edge) in zip(panels, named, strict=True):
            _name(panel, points, edge)
    return figure


@dataclass(frozen=True)
class _Point:
    """A target in a panel; `x` is what the horizontal axis shows.

    `is_full` says that it keeps a tenant's requests apart, too; `is_best` that no other one beats
    it, of all or of those that do.
    """

    place: Place
    x: float
    is_full: bool
    is_best: bool

    @property
    def name(self) -> str:
        """The target."""
        return self.place.target

    @property
    def y(self) -> float:
        """The share of attacks between tenants that it stopped."""
        return self.place.share


_Named = tuple[Sequence[_Point], Sequence[str]]
"""The points of a panel, and the names of those that no other one beats of all."""


def _against_rate(panel: Axes, condition: Condition, placed: Sequence[Place]) -> _Named:
    named = _against(panel, placed, lambda one: one.rate, 1)
    panel.set_title(condition.words())
    panel.set_xlabel("requests per second (log scale): right is better")
    panel.xaxis.set_major_formatter(FuncFormatter(lambda value, _: count(value)))
    return named


def _against_p99(panel: Axes, placed: Sequence[Place]) -> _Named:
    known = [one for one in placed if one.p99_ms > 0]
    if not known:
        panel.set_axis_off()
        return [], []
    named = _against(panel, known, lambda one: one.p99_ms, -1)
    panel.set_xlabel("p99 latency (log scale): left is better")
    panel.xaxis.set_major_formatter(FuncFormatter(lambda value, _: duration(1000 * value)))
    return named


def _against(
    panel: Axes, placed: Sequence[Place], x: Callable[[Place], float], sign: int
) -> _Named:
    """Draw places by `x`, of which more is better, or less with a `sign` of -1."""
    apart = hostility.keep_requests_apart(placed)
    edge, edge_of_both = (
        hostility.undominated([(one.target, sign * x(one), one.share) for one in some])
        for some in (placed, apart)
    )
    best = {*edge, *edge_of_both}
    points = [_Point(one, x(one), one in apart, one.target in best) for one in placed]
    _points(panel, points, edge, edge_of_both)
    return points, edge


def _points(
    panel: Axes, points: Sequence[_Point], edge: Sequence[str], edge_of_both: Sequence[str]
) -> None:
    style = looks([point.name for point in points])
    panel.set_xscale("log")
    for names, line in ((edge, "-"), (edge_of_both, _BOTH)):
        if names:
            joined = _joined(points, names)
            panel.plot(*zip(*joined, strict=True), color=INK, lw=1.1, ls=line, zorder=1.5)
    # A ring means something only where there are full marks.
    are_rings = any(point.is_full for point in points)
    for point in points:
        drawn = panel.plot(
            *(point.x, point.y, "o"),
            color=style[point.name].colour,
            markerfacecolor=_RING if are_rings and not point.is_full else None,
            markeredgewidth=1.6,
            markersize=7.5 if point.is_best else 6,
            alpha=1.0 if point.is_best else 0.6,
        )
        mark(drawn, point.name, _said(point.place))
    low, high = min(point.x for point in points), max(point.x for point in points)
    panel.set_xlim(low / 1.9, high * 1.9)
    panel.set_ylim(max(min(point.y for point in points) - 0.1, -0.05), _TOP)
    panel.set_ylabel("attacks between tenants stopped,\nmean over families: up is better")
    panel.xaxis.set_major_locator(log_ticks(panel.get_xlim()))
    panel.xaxis.set_minor_locator(NullLocator())
    panel.yaxis.set_major_formatter(FuncFormatter(lambda value, _: percent(value)))


def _said(place: Place) -> str:
    return said_of(
        place.target,
        f"{place.stopped} attacks between tenants stopped, {place.requests} between requests, "
        f"{count(place.rate)} requests/s, "
        f"p99 {duration(1000 * place.p99_ms)}",
    )


def _joined(points: Sequence[_Point], edge: Sequence[str]) -> list[tuple[float, float]]:
    return sorted((point.x, point.y) for point in points if point.name in edge)


def _name(panel: Axes, points: Sequence[_Point], edge: Sequence[str]) -> None:
    """Write each name and its counts beside its point, over nothing that is drawn."""
    pixel = panel.figure.dpi / 72
    texts = [
        (f"{point.name} {point.place.stopped}", "bold" if point.is_best else "normal")
        for point in points
    ]
    pixels = [_pixels(panel, (point.x, point.y)) for point in points]
    frame = panel.get_window_extent()
    boxes = labels.place(
        pixels,
        [_size(text, weight, pixel) for text, weight in texts],
        [_pixels(panel, place) for place in _joined(points, edge)],
        labels.Box(frame.x0, frame.y0, frame.x1, frame.y1),
        _RADIUS_PT * pixel,
    )
    for point, (text, weight), box in zip(points, texts, boxes, strict=True):
        named = panel.annotate(
            text,
            (point.x, point.y),
            xytext=_data(panel, box.middle),
            textcoords="data",
            ha="center",
            va="center",
            fontsize=_NAME_PT,
            fontweight=weight,
            arrowprops={
                "arrowstyle": "-", "color": COLOURS[-1], "lw": 0.6, "shrinkA": 0, "shrinkB": 3.5,
                "relpos": _towards(box, _pixels(panel, (point.x, point.y))),
            },
            bbox={"boxstyle": "square,pad=0", "fc": "none", "ec": "none"},
        )  # fmt: skip
        mark([named], point.name, _said(point.place))


def _pixels(panel: Axes, place: tuple[float, float]) -> tuple[float, float]:
    x, y = panel.transData.transform(place)
    return float(x), float(y)


def _data(panel: Axes, pixels: tuple[float, float]) -> tuple[float, float]:
    x, y = panel.transData.inverted().transform(pixels)
    return float(x), float(y)


def _size(text: str, weight: str, pixel: float) -> tuple[float, float]:
    """Return width and height of a name in pixels, with a little air around."""
    return (text_width_pt(text, _NAME_PT, weight) + 3) * pixel, _NAME_PT * 1.25 * pixel


def _towards(box: labels.Box, point: tuple[float, float]) -> tuple[float, float]:
    """Return where on a name its leader begins, as shares of its width and height."""
    x = (point[0] - box.left) / (box.right - box.left)
    y = (point[1] - box.bottom) / (box.top - box.bottom)
    return min(max(x, 0.0), 1.0), min(max(y, 0.0), 1.0)
