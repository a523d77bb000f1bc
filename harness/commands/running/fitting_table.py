"""A run's figures so far, as many as fit into a terminal's columns and lines. Pure.

Conditions stand side by side. Where columns are scarce, first figures are left out, then names are
cut, then conditions are left out; where lines are scarce, the slowest targets. What is left out is
counted.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from rich.text import Text

from harness.results.conditions import BASELINE, Condition
from harness.results.format import (
    NONE,
    count,
    duration,
    load_words,
    milliseconds,
    percent,
    plus_minus,
)
from harness.stats.intervals import geometric_interval

RATE: Final = "requests_per_second"
RATIO: Final = f"ratio_to_{BASELINE}"
P99: Final = "p99_ms"
CPU: Final = "server_cpu_us_per_request"

SHORT_NAME, SHORTEST_NAME = 16, 12

Values = Mapping[str, Sequence[float]]
"""One value a block, by column of trials.parquet."""


@dataclass(frozen=True)
class Figures:
    """What is known of a run.

    `values` has what was measured, by target and condition; `pilots` has requests per second where
    nothing was yet, and `void` those whose trials so far do not count.
    """

    targets: Sequence[str]
    conditions: Sequence[Condition]
    values: Mapping[tuple[str, Condition], Values]
    pilots: Mapping[tuple[str, Condition], float]
    void: frozenset[tuple[str, Condition]] = frozenset()

    def in_order(self) -> list[str]:
        """Return the targets, the fastest under the first condition first."""

        def rate(target: str) -> float:
            known = self.values.get((target, self.conditions[0]), {}).get(RATE)
            mid = geometric_interval(known).mid if known else None
            return -(mid or self.pilots.get((target, self.conditions[0]), 0.0))

        return sorted(self.targets, key=rate)


@dataclass(frozen=True)
class Column:
    """A figure: its heading, the terminal cells that it takes, and its text."""

    heading: str
    width: int
    text: Callable[[Values], str]


def _mid(name: str, words: Callable[[float], str]) -> Callable[[Values], str]:
    return lambda values: words(geometric_interval(values[name]).mid)


def _reach(name: str) -> Callable[[Values], str]:
    def text(values: Values) -> str:
        interval = geometric_interval(values[name])
        if interval.low == interval.high:  # the baseline's ratio to itself
            return NONE
        return plus_minus(interval.low, interval.high) or NONE

    return text


_OWN_RATE = Column("req/s", 7, _mid(RATE, count))
_TAIL, _USED = Column("p99", 8, _mid(P99, milliseconds)), Column("CPU/req", 8, _mid(CPU, duration))
_BESIDE = Column(f"vs {BASELINE}", 6, _mid(RATIO, percent))
_CLOSED = (_OWN_RATE, _BESIDE, Column("±", 6, _reach(RATIO)), _TAIL, _USED)
_ALONE = (_OWN_RATE, Column("±", 6, _reach(RATE)), _TAIL, _USED)
_OPEN = (_OWN_RATE, _TAIL, Column("p99 ±", 6, _reach(P99)), _USED)
_FEWEST, _FEW, _MOST = 2, 3, 5


@dataclass(frozen=True)
class Layout:
    """How wide names are, and which columns each condition that is shown has."""

    name: int
    groups: Sequence[Sequence[Column]]

    @property
    def width(self) -> int:
        """The cells of a line."""
        return self.name + sum(_width(group) for group in self.groups)


def lay_out(figures: Figures, width: int) -> Layout:
    """Return the richest layout of so many columns."""
    kinds = [_columns(figures, condition) for condition in figures.conditions]
    longest = max(map(len, ("target", *figures.targets)))
    for most in range(_MOST, _FEWEST, -1):
        if (layout := _with(longest, kinds, most)).width <= width:
            return layout
    if (layout := _with(min(longest, SHORT_NAME), kinds, _FEW)).width <= width:
        return layout
    for shown, most in [*((n, _FEW) for n in range(len(kinds) - 1, 0, -1)), (1, _FEWEST)]:
        left = width - _with(0, kinds[:shown], most).width
        if left >= min(longest, SHORTEST_NAME):
            return _with(min(longest, left), kinds[:shown], most)
    return _with(max(1, width - _width(kinds[0][:1])), kinds[:1], 1)


def _columns(figures: Figures, condition: Condition) -> Sequence[Column]:
    if condition.is_open:
        return _OPEN
    return _CLOSED if BASELINE in figures.targets else _ALONE


def _with(name: int, kinds: Sequence[Sequence[Column]], most: int) -> Layout:
    return Layout(name, [kind[:most] for kind in kinds])


def _width(group: Sequence[Column]) -> int:
    return sum(1 + column.width for column in group)


def draw(figures: Figures, width: int, height: int) -> Text:
    """Return the table, of at most so many columns and lines."""
    layout = lay_out(figures, width)
    shown = figures.conditions[: len(layout.groups)]
    common, own = told_apart(figures.conditions)
    head = [*_heads(common, own[: len(shown)], layout)]
    rows = [_row(target, shown, figures, layout) for target in figures.in_order()]
    unseen = own[len(shown) :]
    room = max(1, height - len(head))
    fitting = rows if len(rows) + bool(unseen) <= room else rows[: max(1, room - 1)]
    note = _note(len(rows) - len(fitting), unseen)
    tail = [Text(_cut(note, width), style="dim")] if note else []
    return Text("\n").join([*head, *fitting, *tail])


def _note(targets: int, unseen: Sequence[str]) -> str:
    """Return what says that so many targets, and these conditions, are not shown."""
    parts = [f"{targets} more target{'s' if targets > 1 else ''}"] if targets else []
    parts += [f"not shown: {'; '.join(unseen)}"] if unseen else []
    return "; ".join(parts)


def told_apart(conditions: Sequence[Condition]) -> tuple[str, list[str]]:
    """Return what conditions have in common, and for each what it has to itself, in few words."""
    parts = [(one.workload, load_words(one.load), one.connection) for one in conditions]
    same = [len(set(values)) == 1 for values in zip(*parts, strict=True)]
    common = ", ".join(part for part, shared in zip(parts[0], same, strict=True) if shared)
    own = [", ".join(p for p, shared in zip(one, same, strict=True) if not shared) for one in parts]
    return common, own


def _heads(common: str, own: Sequence[str], layout: Layout) -> Iterator[Text]:
    if common:
        yield Text(_cut(common, layout.width), style="italic")
    if any(own):
        titles = (
            f" {_cut(title, _width(group) - 1):>{_width(group) - 1}}"
            for title, group in zip(own, layout.groups, strict=True)
        )
        yield Text(" " * layout.name + "".join(titles), style="italic")
    headings = (f" {one.heading:>{one.width}}" for group in layout.groups for one in group)
    yield Text(f"{_cut('target', layout.name):<{layout.name}}" + "".join(headings), style="bold")


def _row(target: str, shown: Sequence[Condition], figures: Figures, layout: Layout) -> Text:
    cells = [
        cell
        for condition, group in zip(shown, layout.groups, strict=True)
        for cell in _cells((target, condition), group, figures)
    ]
    return Text.assemble(f"{_cut(target, layout.name):<{layout.name}}", *cells)


def _cells(
    key: tuple[str, Condition], group: Sequence[Column], figures: Figures
) -> Iterator[tuple[str, str]]:
    values = figures.values.get(key, {})
    if any(values.values()):
        yield from ((f" {one.text(values):>{one.width}}", "") for one in group)
        return
    first, style = "", "dim"
    if key in figures.void:
        first, style = "void", "red"
    elif key in figures.pilots:
        first = f"~{count(figures.pilots[key])}"
    yield f" {first:>{group[0].width}}", style
    yield " " * _width(group[1:]), ""


def _cut(text: str, width: int) -> str:
    """Return a text that takes no more cells than these."""
    return text if len(text) <= width else text[: max(0, width - 1)] + "…"
