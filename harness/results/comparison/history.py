"""Many runs as one data set: a metric of each target under each condition, run by run.

Strategy
========

**A run is one value.** Of each metric it is the geometric mean over the run's blocks, with the
interval of these. The replicates of a history are its runs, so the interval decides nothing here.

**Machines.** Two runs whose decisive facts differ (`provenance.DECISIVE`) were made on two
machines. Changes are looked for among the runs of one machine alone, also where another's lie
between them; what a new machine changes is a break and no finding.

**Chance.** The level of 5% is shared out among all series of the history, so that of twenty
histories in which nothing changed at most one shows a change (`change_points`).

**Nothing is passed over in silence.** What is below the named folders and no part of the history is
in `skipped`, each with its reason.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from fnmatch import fnmatchcase
from itertools import groupby
from pathlib import Path
from typing import Final

import pandas as pd

from harness.errors import IsobenchError
from harness.results.blocks import block_values
from harness.results.comparison.compare import CAPACITY, OF_BASELINE, RATIO, choose_metrics
from harness.results.comparison.confirm import FILE as CONFIRMED
from harness.results.conditions import BASELINE, Condition, Key
from harness.results.folder import ResultsFolder
from harness.results.format import first_few
from harness.results.manifest import Manifest
from harness.results.provenance import DECISIVE, Discrepancy, discrepancies
from harness.stats.change_points import LEVEL, SHORTEST, Shift, change_points
from harness.stats.intervals import Interval, geometric_interval

METRICS: Final = (CAPACITY, RATIO)
"""What a history shows unless told otherwise: both cancel what slows a whole run down."""
BOUND: Final = "generator-bound"
_SELFTEST: Final = "selftest.json"


@dataclass(frozen=True)
class Run:
    """A run of the history. `machine` numbers the machines from 1, as they appear.

    `bound` are the targets and conditions whose rate is a lower bound, since the load generator was
    the limit.
    """

    path: Path
    manifest: Manifest
    began: datetime
    machine: int
    values: Mapping[Key, Mapping[str, tuple[float, ...]]]
    bound: frozenset[Key]

    @property
    def name(self) -> str:
        """The run's name."""
        return self.manifest.run_id


@dataclass(frozen=True)
class Skipped:
    """Something below the named folders that is no part of the history, and why."""

    path: Path
    reason: str


@dataclass(frozen=True)
class Point:
    """A value of a series: that of the run at `run` in the history, with its interval."""

    run: int
    value: Interval
    is_bound: bool


@dataclass(frozen=True)
class Change:
    """A change of level between two runs of one machine, by their places in the history."""

    before: int
    after: int
    ratio: Interval
    p_value: float


@dataclass(frozen=True)
class Series:
    """A metric of one target under one condition, over all runs that measured it."""

    metric: str
    target: str
    condition: Condition
    points: tuple[Point, ...]
    changes: tuple[Change, ...]


@dataclass(frozen=True)
class History:
    """Runs in the order in which they began, and what they measured."""

    runs: tuple[Run, ...]
    metrics: tuple[str, ...]
    series: tuple[Series, ...]
    skipped: tuple[Skipped, ...]

    @property
    def machines(self) -> int:
        """How many machines the runs were made on."""
        return max(run.machine for run in self.runs)

    def breaks(self) -> list[int]:
        """Return the places of the runs that were made on another machine than the one before."""
        return [
            place
            for place in range(1, len(self.runs))
            if self.runs[place].machine != self.runs[place - 1].machine
        ]

    def of(self, metric: str) -> dict[Condition, list[Series]]:
        """Return a metric's series by condition, in their order."""
        found: dict[Condition, list[Series]] = {}
        for one in self.series:
            if one.metric == metric:
                found.setdefault(one.condition, []).append(one)
        return found

    def differs(self, before: int, after: int) -> tuple[Discrepancy, ...]:
        """Return in what two runs differ besides their numbers, the decisive facts first."""
        return discrepancies(self.runs[before].manifest, self.runs[after].manifest)


def gather(
    places: Sequence[Path], metrics: Sequence[str] = METRICS, series: Sequence[str] = ("*",)
) -> History:
    """Return the history of all runs below some folders, which may be runs themselves.

    `series` are patterns, as a shell's, of names such as `dso/hello/closed:8/close`. Raises
    IsobenchError for a folder that is not there, an unknown metric, and where nothing is left.
    """
    chosen = choose_metrics(tuple(metrics))
    read: list[Run] = []
    skipped: list[Skipped] = []
    for found in _found(places):
        one = found if isinstance(found, Skipped) else _read(found, chosen, read)
        (skipped if isinstance(one, Skipped) else read).append(one)  # type: ignore[arg-type]
    runs = _by_machine(sorted(read, key=lambda run: (run.began, run.name)))
    if not runs:
        raise IsobenchError(
            f"no run below {', '.join(map(str, places))}{_because(skipped)}",
            hint="name a folder that holds results folders, such as results/",
        )
    kept = tuple(_all_series(runs, chosen, series))
    if not kept:
        raise IsobenchError(
            f"no series is left of {len(runs)} runs",
            hint=_what_there_is(runs, chosen),
        )
    return History(tuple(runs), chosen, kept, tuple(skipped))


def series_name(target: str, condition: Condition) -> str:
    """Return the name of a series: dso/hello/closed:8/close.

    The number of tenants and the popularity follow where they are not the usual ones.
    """
    parts = [target, condition.workload, condition.load, condition.connection]
    parts += [f"tenants:{condition.tenants}"] if condition.tenants != _USUAL_TENANTS else []
    parts += [condition.popularity] if condition.popularity != _USUAL_POPULARITY else []
    return "/".join(parts)


_USUAL_TENANTS: Final = 10
_USUAL_POPULARITY: Final = "uniform"


def condition_words(condition: Condition) -> str:
    """Return a condition as a heading, with its popularity where that is not the usual one."""
    popularity = condition.popularity
    return condition.words() + ("" if popularity == _USUAL_POPULARITY else f", {popularity}")


def _found(places: Iterable[Path]) -> Iterator[Path | Skipped]:
    """Yield the folders that have a run.json, and what lies directly in a place and has none."""
    seen: set[Path] = set()
    for place in places:
        if not place.is_dir():
            what = "is not a directory" if place.exists() else "does not exist"
            raise IsobenchError(
                f"{place} {what}",
                hint="name a folder that holds results folders, such as results/",
            )
        for child, runs in _below(place):
            for run in runs:
                if isinstance(run, Skipped) or run.resolve() not in seen:
                    yield run
            seen.update(run.resolve() for run in runs if isinstance(run, Path))
            if not runs:
                yield Skipped(child, "no run.json in it or below")


def _below(place: Path) -> Iterator[tuple[Path, list[Path | Skipped]]]:
    """Yield each directory directly in a place with the runs below it; the place, if it is one."""
    if (place / "run.json").exists():
        yield place, [place]
        return
    children = sorted(child for child in _entries(place) if child.is_dir())
    for child in children:
        if not child.name.startswith("."):
            yield child, list(_runs_below(child))


def _entries(place: Path) -> list[Path]:
    try:
        return list(place.iterdir())
    except OSError as error:
        raise IsobenchError(
            f"cannot read {place}: {error.strerror}", hint="check its owner and permissions"
        ) from error


def _runs_below(folder: Path) -> Iterator[Path | Skipped]:
    for root, directories, files in os.walk(folder):
        if "run.json" in files:
            directories.clear()
            yield Path(root)
        elif CONFIRMED in files:  # short ones, half of them of an older version
            directories.clear()
            yield Skipped(Path(root), "runs that isobench confirm made")
        directories[:] = sorted(name for name in directories if not name.startswith("."))


def _read(path: Path, metrics: Sequence[str], before: Sequence[Run]) -> Run | Skipped:
    """Return the run of a folder, or why it is none; `before` are those that were read already."""
    if (path / _SELFTEST).exists():
        return Skipped(path, "a selftest, which measures the harness")
    try:
        folder = ResultsFolder.open(path)
        values = block_values(folder.trials(), metrics)
    except IsobenchError as error:
        return Skipped(path, str(error))
    if not values:
        return Skipped(path, "no valid trial of a target in it")
    manifest = folder.manifest
    if same := [run.path for run in before if run.name == manifest.run_id]:
        return Skipped(path, f"the same run as {same[0]}")
    try:
        began = datetime.fromisoformat(manifest.started_at)
    except ValueError:
        return Skipped(path, f"started_at in its run.json is no time: {manifest.started_at!r}")
    began = began if began.tzinfo else began.replace(tzinfo=UTC)
    return Run(path, manifest, began, 0, values, _bound(path))


def _bound(path: Path) -> frozenset[Key]:
    """Return what the load generator held back, as far as the folder has a summary that says so."""
    try:
        summary = pd.read_csv(path / "summary.csv", keep_default_na=False)
        rows = summary[summary["verdict"] == BOUND].to_dict("records")
        fields = Condition._fields
        return frozenset(
            (row["target"], Condition(*(row[name] for name in fields))) for row in rows
        )
    except (OSError, ValueError, KeyError):
        return frozenset()


def _by_machine(runs: Sequence[Run]) -> list[Run]:
    """Return the runs with the numbers of their machines."""
    known: dict[tuple[str, ...], int] = {}
    numbered = []
    for run in runs:
        # What an older isobench did not look at is taken for what the others have: nothing.
        facts = tuple(str(run.manifest.machine.get(name)) for name in DECISIVE)
        number = known.setdefault(facts, len(known) + 1)
        numbered.append(Run(run.path, run.manifest, run.began, number, run.values, run.bound))
    return numbered


def _all_series(
    runs: Sequence[Run], metrics: Sequence[str], patterns: Sequence[str]
) -> Iterator[Series]:
    keys = dict.fromkeys(key for run in runs for key in run.values)
    wanted = [key for key in keys if any(fnmatchcase(series_name(*key), one) for one in patterns)]
    found = [
        (metric, key, points)
        for metric in metrics
        for key in wanted
        if _means_something(metric, key) and (points := tuple(_points(runs, metric, key)))
    ]
    searched = sum(len(_stretches(runs, points)) for *_, points in found)
    for metric, (target, condition), points in found:
        changes = _changes(runs, points, LEVEL / max(1, searched))
        yield Series(metric, target, condition, points, tuple(changes))


def _means_something(metric: str, key: Key) -> bool:
    target, condition = key
    if metric in OF_BASELINE and target == BASELINE:  # 1 in every run, by definition
        return False
    return not (metric == RATIO and condition.is_open)  # whose rate was given


def _points(runs: Sequence[Run], metric: str, key: Key) -> Iterator[Point]:
    for place, run in enumerate(runs):
        if blocks := run.values.get(key, {}).get(metric, ()):
            yield Point(place, geometric_interval(blocks), key in run.bound)


def _stretches(runs: Sequence[Run], points: Sequence[Point]) -> list[list[Point]]:
    """Return a series' points machine by machine, as far as these are enough for a change."""

    def machine(point: Point) -> int:
        return runs[point.run].machine

    parts = [list(part) for _, part in groupby(sorted(points, key=machine), key=machine)]
    return [part for part in parts if len(part) >= 2 * SHORTEST]


def _changes(runs: Sequence[Run], points: Sequence[Point], level: float) -> list[Change]:
    found = [
        _change(part, shift)
        for part in _stretches(runs, points)
        for shift in change_points([point.value.mid for point in part], level)
    ]
    return sorted(found, key=lambda change: change.after)


def _change(part: Sequence[Point], shift: Shift) -> Change:
    before, after = part[shift.place - 1].run, part[shift.place].run
    return Change(before, after, shift.ratio, shift.p_value)


def _because(skipped: Sequence[Skipped]) -> str:
    said = "; ".join(f"{one.path}: {one.reason}" for one in skipped[:5])
    more = f"; and {len(skipped) - 5} more" if len(skipped) > 5 else ""
    return f" ({said}{more})" if skipped else ""


def _what_there_is(runs: Sequence[Run], metrics: Sequence[str]) -> str:
    names = list(dict.fromkeys(series_name(*key) for run in runs for key in run.values))
    shown = first_few(names, 6)
    only_baseline = all(name.startswith(f"{BASELINE}/") for name in names)
    if only_baseline and set(metrics) <= set(OF_BASELINE):
        return f"they measured {BASELINE} alone: choose --metric requests_per_second"
    return f"check --series and --metric; the runs measured {shown}"
