"""The table that a run ends with: within 100 columns, one block of rows a condition."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from harness.results.analysis.neighbour import effects
from harness.results.conditions import BASELINE, by_condition
from harness.results.format import readable
from reports.words import neighbour
from reports.words.attacks import Stopped, modes_beside, standings
from reports.words.costs import creation_table, heap_table, launch_table, worker_table

# The columns of `readable` that fit, in order.
_COLUMNS = (
    *("target", "runs as", "req/s", "vs", "±", "difference", "p50", "p99", "p99 ±"),
    *("CPU/req", "memory", "verdict"),
)
# What a narrow terminal does without: the page has it all.
_WIDE = 96
_FOR_WIDE = ("runs as", "p50", "memory")
_WIDER = 136
_FOR_WIDER = ("difference",)
# Where the rate itself has an interval, this is left to the page.
_OF_OPEN_LOADS = "p99 ±"
# What fits of the tables of bare costs, of which the page has all.
_CREATION = ("way", "per process", "per MiB", "per MiB, huge pages", "page faults")
_HEAP = ("in a CPython process", "time", "page faults")
_WORKERS = ("a tenant's worker in", "start", "memory (PSS)")
_LAUNCH = ("interpreter", "started with", "to first line", "to exit", "system calls", "memory")
_NAMES = ("target", "runs as", "verdict")
# What the table of attacks has room for.
_ROOM_FOR_COUNTS = 110
_ROOM_FOR_NAME = 26
_STYLES = {"ok": "green", "noisy": "yellow", "generator-bound": "yellow"}


def render_table(
    summary: pd.DataFrame, baseline: str = BASELINE, width: int = 100
) -> RenderableType:
    """Return the summary as something that rich prints, for a terminal of `width` columns."""
    left_out = {*(_FOR_WIDE if width < _WIDE else ()), *(_FOR_WIDER if width < _WIDER else ())}
    columns = [name for name in _COLUMNS if name not in left_out]
    gap = 1 if width < _WIDE else 2
    if summary.empty:
        return Text("No trial has ended.")
    return Group(
        *(
            _with_title(condition.words(), readable(rows, baseline), baseline, columns, gap)
            for condition, rows in by_condition(summary)
        )
    )


def render_costs(costs: pd.DataFrame) -> RenderableType:
    """Return bare costs as something that rich prints: processes, then interpreters."""
    return Group(
        *(
            _plain(title, table[[name for name in columns if name in table]])
            for title, table, columns in (
                ("making and reaping a process", creation_table(costs), _CREATION),
                ("CPython processes and their children", heap_table(costs), _HEAP),
                ("starting a tenant's permanent worker", worker_table(costs), _WORKERS),
                ("starting an interpreter", _without_imports(launch_table(costs)), _LAUNCH),
            )
            if not table.empty
        )
    )


def render_neighbour(windows: pd.DataFrame) -> RenderableType:
    """Return what noise does to a quiet tenant as something that rich prints: by limits."""
    found = effects(windows)
    parts: list[RenderableType] = []
    for limits in dict.fromkeys(one.limits for one in found):
        title = neighbour.TITLES.get(limits, limits)
        parts += [Text(title, style="italic"), _plain("", neighbour.matrix(found, limits))]
    return Group(*parts)


def render_attacks(attacks: pd.DataFrame, width: int = 100) -> RenderableType:
    """Return for each target how many attacks of each family it stopped, best first.

    In percent where `width`, in columns, has no room for counts.
    """
    narrow = width < _ROOM_FOR_COUNTS
    found, beside = standings(attacks), modes_beside(attacks)
    families = list(found[0].families)
    table = Table(
        title="attacks stopped, of those that apply" + (" (in percent)" if narrow else ""),
        title_justify="left",
        box=None,
        pad_edge=False,
        padding=(0, 1 if narrow else 2, 0, 0),
    )
    table.add_column("target", no_wrap=True)
    table.add_column("share", justify="right", no_wrap=True)
    for family in families:
        table.add_column(family[:3] if narrow else family, justify="right", no_wrap=True)
    for one in found:
        cells = [
            Text(_shortest(part) if narrow else str(part), style=_style_of(part))
            for part in one.families.values()
        ]
        name = "  " * (one.target in beside) + one.target
        share = _share_alone(one.percent) if narrow else one.percent
        table.add_row(Text(_in_lines(name) if narrow else name), Text(share), *cells)
    return table


def _shortest(part: Stopped) -> str:
    """Return a percentage without its sign; with a question mark where an outcome is unknown."""
    return _share_alone(part.percent).rstrip("%") + ("?" if part.errors else "")


def _share_alone(percent: str) -> str:
    number, sign, _ = percent.partition("%")
    return number + sign


def _in_lines(name: str) -> str:
    """Return a name with its factor on a line of its own, where there is no room for both."""
    target, colon, factor = name.partition(":")
    return f"{target}\n    :{factor}" if colon and len(name) > _ROOM_FOR_NAME else name


def _style_of(found: Stopped) -> str:
    if found.errors:
        return "magenta"
    if not found.counted:
        return "dim"
    return "green" if found.blocked == found.counted else "red" if not found.blocked else "yellow"


def _without_imports(launches: pd.DataFrame) -> pd.DataFrame:
    if launches.empty:
        return launches
    return launches[~launches["started with"].str.contains("imports")]


def _plain(title: str, rows: pd.DataFrame) -> Table:
    table = Table(
        title=title or None, title_justify="left", box=None, pad_edge=False, padding=(0, 2, 0, 0)
    )
    for place, name in enumerate(rows.columns):
        left = place == 0 or name == "started with"
        table.add_column(name, justify="left" if left else "right", overflow="fold")
    for row in rows.to_numpy().tolist():
        table.add_row(*map(Text, map(str, row)))
    return table


def _with_title(
    title: str, rows: pd.DataFrame, baseline: str, columns: Sequence[str], gap: int
) -> Group:
    """Return a table under its title, which may be wider."""
    padding = (0, gap, 0, 0)
    table = Table(box=None, pad_edge=False, padding=padding)
    wanted = [f"vs {baseline}" if name == "vs" else name for name in columns]
    names = [name for name in wanted if name in rows.columns]
    if "±" in names:
        names.remove(_OF_OPEN_LOADS)
    for name in names:
        right = name not in _NAMES
        table.add_column(
            name,
            justify="right" if right else "left",
            no_wrap=right,
            overflow="fold",
            max_width=24 if name in _NAMES else None,
        )
    for row in rows.to_dict("records"):
        *cells, verdict = (str(row[name]) for name in names)
        # Text, not str: a "[" in a name is not markup.
        style = _STYLES.get(verdict, "red")
        table.add_row(*map(Text, cells), Text(verdict, style=style))
    return Group(Text(title, style="italic"), table)
