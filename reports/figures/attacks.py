"""The figures of the attacks: the matrix, and security against speed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import matplotlib as mpl
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, NullLocator

from harness.results.format import count, duration, percent
from harness.results.summary import Condition
from reports.figures.throughput import (
    COLOURS,
    FAINT,
    INK,
    STYLE,
    WIDTH_IN,
    log_ticks,
    looks,
    spread,
)
from reports.words import attacks as hostility
from reports.words.attacks import Place

_GOOD, _BAD = COLOURS[2], COLOURS[3]
_ROW_IN = 0.155
_TOP = 1.03
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
        height = _ROW_IN * len(lines) + 1.6
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
        panel.set_xticks(
            range(len(targets)), targets, rotation=55, ha="left", rotation_mode="anchor"
        )
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


def frontier(found: Sequence[tuple[Condition, Sequence[Place]]]) -> Figure:
    """Draw the share of attacks stopped against rate and p99, a line of panels a condition."""
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(WIDTH_IN, 4.3 * len(found)), layout="constrained")
        grid = figure.subplots(len(found), 2, squeeze=False, sharey=True)
        for (against_rate, against_p99), (condition, placed) in zip(grid, found, strict=True):
            _against_rate(against_rate, condition, placed)
            _against_p99(against_p99, placed)
    return figure


@dataclass(frozen=True)
class _Point:
    """A target in a panel; `x` is what the horizontal axis shows."""

    place: Place
    x: float

    @property
    def name(self) -> str:
        """The target."""
        return self.place.target

    @property
    def y(self) -> float:
        """The share of attacks that it stopped."""
        return self.place.share


def _against_rate(panel: Axes, condition: Condition, placed: Sequence[Place]) -> None:
    edge = hostility.undominated([(one.target, one.rate, one.share) for one in placed])
    _points(panel, [_Point(one, one.rate) for one in placed], edge)
    panel.set_title(condition.words())
    panel.set_xlabel("requests per second (log scale): right is better")
    panel.set_ylabel("attacks stopped, mean over families: up is better")
    panel.xaxis.set_major_formatter(FuncFormatter(lambda value, _: count(value)))


def _against_p99(panel: Axes, placed: Sequence[Place]) -> None:
    known = [one for one in placed if one.p99_ms > 0]
    if not known:
        panel.set_axis_off()
        return
    edge = hostility.undominated([(one.target, -one.p99_ms, one.share) for one in known])
    _points(panel, [_Point(one, one.p99_ms) for one in known], edge)
    panel.set_xlabel("p99 latency (log scale): left is better")
    panel.xaxis.set_major_formatter(FuncFormatter(lambda value, _: duration(1000 * value)))


def _points(panel: Axes, points: Sequence[_Point], edge: Sequence[str]) -> None:
    style = looks([point.name for point in points])
    joined = sorted((point for point in points if point.name in edge), key=lambda point: point.x)
    panel.set_xscale("log")
    panel.plot([point.x for point in joined], [point.y for point in joined], color=INK, lw=1.1)
    for point in points:
        on_edge = point.name in edge
        panel.plot(
            *(point.x, point.y, "o"),
            color=style[point.name].colour,
            markersize=7.5 if on_edge else 6,
            alpha=1.0 if on_edge else 0.6,
        )
    low, high = min(point.x for point in points), max(point.x for point in points)
    bottom = min(0.3, min(point.y for point in points) - 0.05)
    panel.set_xlim(low / 1.6, high * 1.6)
    panel.set_ylim(bottom, _TOP)
    _name(panel, points, edge, (low * high) ** 0.5, bottom)
    panel.xaxis.set_major_locator(log_ticks(panel.get_xlim()))
    panel.xaxis.set_minor_locator(NullLocator())
    panel.yaxis.set_major_formatter(FuncFormatter(lambda value, _: percent(value)))


def _name(
    panel: Axes, points: Sequence[_Point], edge: Sequence[str], middle: float, bottom: float
) -> None:
    """Write each name and its counts beside its point, leaning inwards, pushed apart."""
    step = (_TOP - bottom) * 0.036
    places = spread([point.y + step / 2 for point in points], step, bottom, _TOP - step / 2)
    for point, place in zip(points, places, strict=True):
        right = point.x > middle
        panel.annotate(
            f"{point.name} {point.place.stopped}",
            (point.x, point.y),
            xytext=(point.x / 1.25 if right else point.x * 1.25, place),
            textcoords="data",
            ha="right" if right else "left",
            va="center",
            fontsize=7.2,
            fontweight="bold" if point.name in edge else "normal",
            arrowprops={"arrowstyle": "-", "color": FAINT, "lw": 0.7, "shrinkA": 0, "shrinkB": 3},
        )
