"""The figures of the attacks: the matrix, and security against speed."""

from __future__ import annotations

from collections.abc import Sequence

import matplotlib as mpl
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, NullFormatter

from harness.results import Condition, count, duration, percent
from reports import hostility
from reports.figures import (
    COLOURS,
    FAINT,
    INK,
    STYLE,
    WIDTH_IN,
    log_ticks,
    looks,
)
from reports.hostility import Place

_GOOD, _BAD = COLOURS[2], COLOURS[3]
_ROW_IN = 0.155
_MARKERS = {"succeeded": ("s", _BAD), "blocked": (".", _GOOD), "error": ("$?$", INK)}


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


def frontier(attacks: pd.DataFrame, summary: pd.DataFrame) -> Figure | None:
    """Draw the share of attacks stopped against rate and p99, a line of panels a condition.

    None where no target was both attacked and measured.
    """
    found = [
        (condition, placed)
        for condition, rows in hostility.conditions(summary)
        if (placed := hostility.places(attacks, rows))
    ]
    if not found:
        return None
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(WIDTH_IN, 4.3 * len(found)), layout="constrained")
        grid = figure.subplots(len(found), 2, squeeze=False, sharey=True)
        for (against_rate, against_p99), (condition, placed) in zip(grid, found, strict=True):
            _against_rate(against_rate, condition, placed)
            _against_p99(against_p99, placed)
    return figure


def _against_rate(panel: Axes, condition: Condition, placed: Sequence[Place]) -> None:
    edge = hostility.undominated([(one.target, one.rate, one.share) for one in placed])
    _points(panel, [(one.target, one.rate, one.share) for one in placed], edge)
    panel.set_title(condition.words(), fontsize=9.5)
    panel.set_xlabel("requests per second (log scale): right is better")
    panel.set_ylabel("share of attacks stopped, mean over families: up is better")
    panel.xaxis.set_major_formatter(FuncFormatter(lambda value, _: count(value)))


def _against_p99(panel: Axes, placed: Sequence[Place]) -> None:
    known = [one for one in placed if one.p99_ms > 0]
    edge = hostility.undominated([(one.target, -one.p99_ms, one.share) for one in known])
    _points(panel, [(one.target, one.p99_ms, one.share) for one in known], edge)
    panel.set_xlabel("p99 latency (log scale): left is better")
    panel.xaxis.set_major_formatter(FuncFormatter(lambda value, _: duration(1000 * value)))


def _points(panel: Axes, points: Sequence[tuple[str, float, float]], edge: Sequence[str]) -> None:
    style = looks([name for name, _, _ in points])
    where = {name: (x, y) for name, x, y in points}
    panel.set_xscale("log")
    panel.plot(*zip(*(where[name] for name in edge), strict=True), color=INK, lw=1.1, zorder=1)
    low, high = min(x for _, x, _ in points), max(x for _, x, _ in points)
    for name, x, y in points:
        on_edge = name in edge
        panel.plot(
            x, y, "o", color=style[name].colour, markersize=7.5 if on_edge else 6,
            alpha=1.0 if on_edge else 0.55, zorder=2,
        )  # fmt: skip
        # Names lean inwards, so that none leaves the panel.
        right = x > (low * high) ** 0.5
        panel.annotate(
            name,
            (x, y),
            xytext=(-6 if right else 6, 4),
            textcoords="offset points",
            ha="right" if right else "left",
            fontsize=7.8,
            fontweight="bold" if on_edge else "normal",
        )
    panel.set_xlim(low / 1.6, high * 1.6)
    panel.set_ylim(min(0.3, min(y for _, _, y in points) - 0.05), 1.03)
    panel.xaxis.set_major_locator(log_ticks(panel.get_xlim()))
    panel.xaxis.set_minor_formatter(NullFormatter())
    panel.yaxis.set_major_formatter(FuncFormatter(lambda value, _: percent(value)))
