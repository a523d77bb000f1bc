"""The figures of bare costs: costs.parquet in, a Figure out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.ticker import FuncFormatter, NullLocator

from harness.results.format import count, duration
from reports.figures.curves import label_ends
from reports.figures.style import (
    COLOURS,
    DASHES,
    FAINT,
    INK,
    PAPER,
    ROW_IN,
    STYLE,
    Look,
    log_ticks,
    panels_of,
)
from reports.words import costs as words

Row = Mapping[Any, Any]

_NAMED = 10
_LAYER_IN = 0.19
_LIST_IN = 1.45
"""Room for the list of the most expensive."""


def creation(costs: pd.DataFrame) -> Figure:
    """Draw the cost of each way against memory, and the fitted lines: a panel a kind of ways."""
    rows = words.of(costs, "creation")
    lines = words.of(costs, "line")
    rows = rows[rows["name"] != "change of identity and back"]  # no process is made
    is_clone3 = rows["name"].str.startswith("clone3")
    parts = [
        ("processes and programs, small pages", rows[~is_clone3 & (rows["pages"] == "small")]),
        (
            "clone3, and with new namespaces, small pages",
            rows[is_clone3 & (rows["pages"] == "small")],
        ),
        ("processes and programs, huge pages", rows[~is_clone3 & (rows["pages"] == "huge")]),
    ]
    parts = [(title, part) for title, part in parts if not part.empty]
    style = {
        name: Look(COLOURS[place % len(COLOURS)], DASHES[place // len(COLOURS) % len(DASHES)])
        for _, part in parts
        for place, name in enumerate(sorted(set(part["name"])))
    }
    with mpl.rc_context(STYLE):
        figure, panels = panels_of([3.3 for _ in parts])
        for panel, (title, part) in zip(panels, parts, strict=True):
            panel.set_title(title)
            _creation_lines(panel, part, lines, style)
        panels[-1].set_xlabel("written memory of the process that makes another, MiB (log scale)")
    return figure


def _creation_lines(
    panel: Axes, rows: pd.DataFrame, lines: pd.DataFrame, style: Mapping[str, Look]
) -> None:
    panel.set_xscale("log")
    panel.set_yscale("log")
    ends = []
    for name, of_way in rows.groupby("name", sort=True):
        look = style[str(name)]
        of_way = of_way.sort_values("heap_mib")
        x = of_way["heap_mib"].to_numpy()
        y = of_way["value_us"].to_numpy()
        below, above = y - of_way["low_us"].to_numpy(), of_way["high_us"].to_numpy() - y
        panel.errorbar(
            x,
            y,
            yerr=np.nan_to_num(np.array([below, above])),
            fmt="o",
            ms=3.5,
            lw=0.8,
            color=look.colour,
        )
        last = float(y[-1])
        fitted = _fitted(lines, str(name), str(of_way["pages"].iloc[0]))
        if fitted is not None:
            sizes = np.geomspace(x[0], x[-1], 50)
            curve = fitted[0] + fitted[1] * sizes
            shown = curve > 0
            panel.plot(sizes[shown], curve[shown], color=look.colour, linestyle=look.dash, lw=1.4)
            last = float(curve[-1]) if curve[-1] > 0 else last
        ends.append((str(name), float(x[-1]), last, look.colour))
    ticks = sorted(set(rows["heap_mib"]))
    panel.set_xticks(ticks, [count(size) for size in ticks])
    panel.xaxis.set_minor_locator(NullLocator())
    low, high = panel.get_xlim()
    panel.set_xlim(low, high * (high / low) ** 0.42)
    panel.set_ylabel("time until it is reaped\n(log scale)")
    panel.yaxis.set_major_formatter(FuncFormatter(lambda value, _: duration(value)))
    panel.yaxis.set_major_locator(log_ticks(panel.get_ylim()))
    panel.yaxis.set_minor_locator(NullLocator())
    label_ends(panel, ends)


def _fitted(lines: pd.DataFrame, name: str, pages: str) -> tuple[float, float] | None:
    of_way = lines[(lines["name"] == name) & (lines["pages"] == pages)]
    if len(of_way) != 2:
        return None
    by_kind = of_way.set_index(of_way["parameter"].str.startswith(words.PER_MIB))["value_us"]
    return float(by_kind[False]), float(by_kind[True])


def launches(costs: pd.DataFrame) -> Figure:
    """Draw for each start of an interpreter when its script begins and when it has exited."""
    table = words.launches(costs)
    with_imports = table["what"].str.contains("imports")
    parts = [
        ("a script of one line", table[~with_imports]),
        ("a script with the imports of the workload imports", table[with_imports]),
    ]
    parts = [(title, part) for title, part in parts if not part.empty]
    with mpl.rc_context(STYLE):
        figure, panels = panels_of([0.72 * ROW_IN * len(part) + 0.2 for _, part in parts])
        for panel, (title, part) in zip(panels, parts, strict=True):
            panel.set_title(title)
            panel.set_xscale("log")
            rows: list[Row] = part.to_dict("records")  # type: ignore[assignment]
            for place, row in enumerate(rows):
                _launch(panel, place, row)
            names = [f"{row['name']} {_shortly(row['what'])}".strip() for row in rows]
            panel.set_yticks(range(len(rows)), names, fontsize=8)
            panel.set_ylim(len(rows) - 0.4, -0.6)
            panel.grid(visible=False, axis="y")
            low, high = panel.get_xlim()
            panel.set_xlim(low, high * (high / low) ** 0.35)
            panel.xaxis.set_major_locator(log_ticks(panel.get_xlim()))
            panel.xaxis.set_minor_locator(NullLocator())
            panel.xaxis.set_major_formatter(FuncFormatter(lambda value, _: duration(value)))
        panels[0].legend(loc="lower left", frameon=False, fontsize=8.5)
        panels[-1].set_xlabel("time from exec (log scale): lower is better")
    return figure


def _shortly(what: str) -> str:
    return what.replace("imports, ", "").replace("-I -S, ", "")


def _launch(panel: Axes, place: int, row: Row) -> None:
    first, end = float(row["first_us"]), float(row["exit_us"])
    panel.plot([first, end], [place, place], color=COLOURS[0], lw=4, alpha=0.35)
    ends = {"first": (first, "o", "first line"), "exit": (end, "D", "exit")}
    for colour, (kind, (value, marker, label)) in zip(COLOURS, ends.items(), strict=False):
        interval = [row[f"{kind}_low_us"], row[f"{kind}_high_us"]]
        panel.plot(interval, [place, place], "-", color=INK, lw=1.1, zorder=3)
        said = label if place == 0 else None
        panel.plot(value, place, marker, color=colour, markersize=5, label=said)
    panel.annotate(
        f"{duration(first)}, {duration(end)}",
        (float(np.nanmax([end, row["exit_high_us"]])), place),
        xytext=(7, 0),
        textcoords="offset points",
        va="center",
        fontsize=8,
    )


def imports(costs: pd.DataFrame) -> Figure:
    """Draw the import tree of each workload: what is imported hangs below what imports it."""
    rows = words.of(costs, "import")
    started = set(rows[rows["parameter"] == words.START]["name"])
    trees = [
        (str(workload), of_one.sort_values("place").to_dict("records"))
        for workload, of_one in rows.groupby("parameter", sort=True)
        if workload != words.START
    ]
    with mpl.rc_context(STYLE):
        heights = [max(_LAYER_IN * _depth(tree), _LIST_IN) for _, tree in trees]
        figure, panels = panels_of(heights)
        for panel, height, (workload, tree) in zip(panels, heights, trees, strict=True):
            panel.set_title(f"{workload}: {duration(_total(tree))} in {len(tree)} imports")
            _tree(panel, tree, started, height)
        panels[-1].set_xlabel("time in imports; below each module is what it imports in turn")
    return figure


def _total(tree: Sequence[Row]) -> float:
    return sum(float(row["value_us"]) for row in tree)


def _depth(tree: Sequence[Row]) -> int:
    return int(max(row["depth"] for row in tree)) + 1


def _tree(panel: Axes, tree: Sequence[Row], started: set[str], height_in: float) -> None:
    """Draw a tree of boxes, as wide as the time they and their children take."""
    own = [row for row in tree if row["name"] not in started]
    named = {
        id(row): number
        for number, row in enumerate(
            sorted(own, key=lambda row: -float(row["value_us"]))[:_NAMED], start=1
        )
    }
    left = 0.0
    for place, row in enumerate(tree):
        width = _width(tree, place)
        colour = FAINT if row["name"] in started else COLOURS[int(row["depth"]) % 5]
        panel.add_patch(
            Rectangle((left, row["depth"]), width, 1, facecolor=colour, edgecolor=PAPER, lw=0.6)
        )
        if id(row) in named:
            number = panel.annotate(
                str(named[id(row)]),
                (left + width / 2, row["depth"] + 0.5),
                ha="center",
                va="center",
                fontsize=6.5,
                color="#ffffff",
            )
            number.set_in_layout(False)  # it lies in its box
        left += float(row["value_us"])
    widest = _total(tree)
    panel.set_xlim(0, widest * 1.5)
    panel.set_ylim(height_in / _LAYER_IN, -0.1)
    panel.set_yticks([])
    panel.spines["left"].set_visible(False)
    panel.grid(visible=False, axis="y")
    panel.xaxis.set_major_formatter(
        FuncFormatter(lambda value, _: duration(value) if value <= widest else "")
    )
    by_id = {id(row): row for row in own}
    text = "\n".join(
        f"{number:>2}  {by_id[one]['name']} {duration(by_id[one]['value_us'])}"
        for one, number in sorted(named.items(), key=lambda item: item[1])
    )
    panel.annotate(text, (widest * 1.05, 0), va="top", fontsize=7.5, linespacing=1.15)


def _width(tree: Sequence[Row], place: int) -> float:
    """Return the time of an import and of all below it, which follow it in the tree."""
    depth = tree[place]["depth"]
    width = float(tree[place]["value_us"])
    for row in tree[place + 1 :]:
        if row["depth"] <= depth:
            break
        width += float(row["value_us"])
    return width
