"""The chart of one series, as SVG: a point a run, each a link to its report. Pure.

Not by matplotlib: a page has some dozens of these, and each of its figures takes a tenth of a
second and brings its own letters.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from markupsafe import Markup

from harness.results.comparison.compare import change
from harness.results.comparison.history import Change, History, Point, Series
from harness.stats.intervals import geometric_interval
from reports.comparison.table import number
from reports.history import words

WIDTH, HEIGHT = 560, 150
_LEFT, _RIGHT, _TOP, _BOTTOM = 62, 14, 22, 22
_LEAST_REACH = 0.05
"""The scale reaches so far above and below the middle at least: less would show noise as news."""
_BEYOND = 0.5
"""How far beyond the outermost points an interval is drawn, as a share of their range."""


@dataclass(frozen=True)
class _Scale:
    """Where runs lie from left to right, and values from bottom to top."""

    runs: int
    low: float
    high: float

    def x(self, run: float) -> float:
        inner = WIDTH - _LEFT - _RIGHT
        return round(_LEFT + inner * (run + 0.5) / self.runs, 1)

    def y(self, value: float) -> float:
        share = (min(max(value, self.low), self.high) - self.low) / (self.high - self.low)
        return round(HEIGHT - _BOTTOM - share * (HEIGHT - _TOP - _BOTTOM), 1)


def chart(history: History, one: Series, colour: str, link: Callable[[int], str | None]) -> Markup:
    """Return the chart; `link` gives the address of a run's report by the run's place, if any."""
    scale = _scale(history, one.points)
    parts = [
        *_axes(history, one, scale),
        *_breaks(history, scale),
        *_levels(history, one, scale),
        *_lines(history, one, scale),
        *_changes(history, one, scale),
        *(_point(history, one, point, scale, link(point.run)) for point in one.points),
    ]
    opening = Markup(
        '<svg class="series" viewBox="0 0 {} {}" role="group" aria-label="{}" style="color:{}">'
    ).format(WIDTH, HEIGHT, f"{one.target}: {words.heading(one.metric)}", colour)
    return Markup("").join([opening, *parts, Markup("</svg>")])


def _scale(history: History, points: Sequence[Point]) -> _Scale:
    values = [point.value.mid for point in points]
    low, high = min(values), max(values)
    room = _BEYOND * (high - low)
    lows, highs = (
        [end for point in points if math.isfinite(end := getattr(point.value, name))]
        for name in ("low", "high")
    )
    middle = (low + high) / 2
    return _Scale(
        runs=len(history.runs),
        low=min(max(min([low, *lows]), low - room), middle * (1 - _LEAST_REACH)),
        high=max(min(max([high, *highs]), high + room), middle * (1 + _LEAST_REACH)),
    )


def _axes(history: History, one: Series, scale: _Scale) -> Iterator[Markup]:
    for value in (scale.low, (scale.low + scale.high) / 2, scale.high):
        y = scale.y(value)
        yield _line("grid", _LEFT, y, WIDTH - _RIGHT, y)
        yield _text(_LEFT - 6, y + 4, number(one.metric, value), "end")
    first, last = history.runs[0], history.runs[-1]
    days = "%Y-%m-%d" if last.began.date() != first.began.date() else "%Y-%m-%d %H:%M"
    yield _text(_LEFT, HEIGHT - 6, first.began.strftime(days), "start")
    if last is not first:
        yield _text(WIDTH - _RIGHT, HEIGHT - 6, last.began.strftime(days), "end")


def _breaks(history: History, scale: _Scale) -> Iterator[Markup]:
    for place in history.breaks():
        x = scale.x(place - 0.5)
        machine = history.runs[place].machine
        line = _line("break", x, _TOP - 8, x, HEIGHT - _BOTTOM)
        yield _titled(f"machine {machine} from here on", line)
        yield _text(x + 3, HEIGHT - _BOTTOM - 3, f"machine {machine}", "start", "break")


def _levels(history: History, one: Series, scale: _Scale) -> Iterator[Markup]:
    """Draw the level between changes, machine by machine."""
    for points in _of_machines(history, one).values():
        for part in _between(points, one.changes):
            if len(part) > 1:
                y = scale.y(geometric_interval([point.value.mid for point in part]).mid)
                yield _line("level", scale.x(part[0].run), y, scale.x(part[-1].run), y)


def _between(points: Sequence[Point], changes: Sequence[Change]) -> Iterator[list[Point]]:
    starts = {one.after for one in changes}
    part: list[Point] = []
    for point in points:
        if point.run in starts:
            yield part
            part = []
        part.append(point)
    yield part


def _lines(history: History, one: Series, scale: _Scale) -> Iterator[Markup]:
    for before, after in pairwise(one.points):
        if history.runs[before.run].machine == history.runs[after.run].machine:
            ends = (before.run, before.value.mid), (after.run, after.value.mid)
            (x1, y1), (x2, y2) = ((scale.x(run), scale.y(value)) for run, value in ends)
            yield _line("between", x1, y1, x2, y2)


def _changes(history: History, one: Series, scale: _Scale) -> Iterator[Markup]:
    for shift in one.changes:
        x = scale.x(shift.after - 0.5)
        line = _line("change", x, _TOP - 8, x, HEIGHT - _BOTTOM)
        yield _titled(f"{one.target}: {words.moved(shift)} at {_name(history, shift)}", line)
        yield _text(x, _TOP - 11, change(shift.ratio.mid), "middle", "change")


def _name(history: History, shift: Change) -> str:
    return history.runs[shift.after].name


def _point(history: History, one: Series, point: Point, scale: _Scale, link: str | None) -> Markup:
    run, value = history.runs[point.run], point.value
    x, y = scale.x(point.run), scale.y(value.mid)
    low, high = (scale.y(end) if math.isfinite(end) else y for end in (value.low, value.high))
    drawn = _line("interval", x, low, x, high) + Markup('<circle cx="{}" cy="{}" r="4"{}/>').format(
        x, y, Markup(' class="bound"' if point.is_bound else "")
    )
    said = _titled(f"{run.name}, {words.minute(run)}, {_said(one, point)}", drawn)
    return Markup('<a href="{}">{}</a>').format(link, said) if link else said


def _said(one: Series, point: Point) -> str:
    ends = [number(one.metric, end) for end in (point.value.low, point.value.high)]
    known = math.isfinite(point.value.low)
    interval = f" (95% interval {ends[0]} to {ends[1]})" if known else ""
    bound = ", a lower bound: the load generator was the limit" if point.is_bound else ""
    return f"{one.target} {number(one.metric, point.value.mid)}{interval}{bound}"


def _of_machines(history: History, one: Series) -> Mapping[int, list[Point]]:
    found: dict[int, list[Point]] = {}
    for point in one.points:
        found.setdefault(history.runs[point.run].machine, []).append(point)
    return found


def _line(kind: str, x1: float, y1: float, x2: float, y2: float) -> Markup:
    return Markup('<line class="{}" x1="{}" y1="{}" x2="{}" y2="{}"/>').format(kind, x1, y1, x2, y2)


def _text(x: float, y: float, text: str, anchor: str, kind: str = "tick") -> Markup:
    return Markup('<text class="{}" x="{}" y="{}" text-anchor="{}">{}</text>').format(
        kind, round(x, 1), round(y, 1), anchor, text
    )


def _titled(said: str, drawn: Markup) -> Markup:
    return Markup("<g><title>{}</title>{}</g>").format(said, drawn)
