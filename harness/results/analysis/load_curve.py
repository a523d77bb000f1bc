"""What a sweep found: latency against offered load, target by target. Pure."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from harness.results.blocks import histograms
from harness.results.conditions import Key, by_condition, is_portion
from harness.results.summary import GENERATOR_SHARE
from harness.stats.histogram import Histogram
from harness.stats.intervals import has_quantile

Place = tuple[str, str]
"""A workload, and how connections are handled: targets compare within one."""


@dataclass(frozen=True)
class Point:
    """A target at one load; rates are per second, latencies count from the intended sending.

    `p99_ms` is NaN where the requests are too few for one.
    """

    percent: int
    offered: float
    completed: float
    p50_ms: float
    p99_ms: float


@dataclass(frozen=True)
class Swept:
    """A target at all its loads, the least first.

    `generator_bound`: its knee is so near what the generator can do that it may bear more.
    `knee` is in requests per second, and reached with so many `users`; NaN and 0 where not known.
    """

    target: str
    points: tuple[Point, ...]
    generator_bound: bool = False
    knee: float = math.nan
    users: int = 0

    def holds_up_to(self, limit_ms: float) -> Point | None:
        """Return the highest load with p99 below the limit there and at all lower loads."""
        held = None
        for point in self.points:
            if not point.p99_ms < limit_ms:
                break
            held = point
        return held

    @property
    def telling(self) -> bool:
        """Whether any load has enough requests for a p99."""
        return any(math.isfinite(point.p99_ms) for point in self.points)


def sweeps(
    trials: pd.DataFrame,
    latency: pd.DataFrame,
    summary: pd.DataFrame,
    plan: Mapping[str, Any],
) -> dict[Place, list[Swept]]:
    """Return the sweeps of each workload and connection; empty where nothing was swept.

    `trials`, `latency` and `summary` are the tables of a results folder, `plan` that of run.json.
    Targets come in the order of the load that they bear.
    """
    if not summary["load"].map(is_portion).any():
        return {}
    points = _points(summary, histograms(trials, latency))
    bound = generator_bound(plan.get("knees", ()), plan.get("ceilings", ()))
    knees = {
        (knee["target"], knee["workload"], knee["connection"]): (knee["rate"], knee["users"])
        for knee in plan.get("knees", ())
    }
    return {
        place: sorted(
            (
                Swept(
                    target,
                    tuple(sorted(loads, key=lambda point: point.percent)),
                    (target, *place) in bound,
                    *knees.get((target, *place), ()),
                )
                for target, loads in of_targets.items()
            ),
            key=lambda swept: -swept.points[-1].offered,
        )
        for place, of_targets in points.items()
    }


def _points(
    summary: pd.DataFrame, merged: Mapping[Key, Histogram]
) -> dict[Place, dict[str, list[Point]]]:
    """Return the measured points of each workload and connection, by target."""
    points: dict[Place, dict[str, list[Point]]] = {}
    for condition, rows in by_condition(summary):
        if not is_portion(condition.load):
            continue
        for row in rows[rows["trials"] > 0].to_dict("records"):
            key = (str(row["target"]), condition)
            if key in merged:
                of_target = points.setdefault((condition.workload, condition.connection), {})
                of_target.setdefault(key[0], []).append(_point(condition.load, row, merged[key]))
    return points


def _point(load: str, row: Mapping[Any, Any], latencies: Histogram) -> Point:
    """Return what a row of the summary and its latencies show at a portion such as `open:50%`."""
    return Point(
        percent=int(load.removeprefix("open:").removesuffix("%")),
        offered=float(row["offered_per_second"]),
        completed=float(row["requests_per_second"]),
        p50_ms=latencies.quantile(0.5) / 1000,
        p99_ms=latencies.quantile(0.99) / 1000 if has_quantile(latencies.count, 0.99) else math.nan,
    )


def generator_bound(
    knees: Sequence[Mapping[str, Any]], ceilings: Sequence[str]
) -> set[tuple[str, str, str]]:
    """Return whose knee (target, workload, connection) may be the generator's, from run.json.

    The responders that do nothing were searched for a knee too; that is the generator's own.
    """
    rates = {
        (knee["target"], knee["workload"], knee["connection"]): float(knee["rate"])
        for knee in knees
    }
    best: dict[Place, float] = {}
    for (target, workload, connection), rate in rates.items():
        if target in ceilings:
            place = (workload, connection)
            best[place] = max(rate, best.get(place, 0.0))
    return {
        (target, *place)
        for (target, *place), rate in rates.items()
        if target not in ceilings and rate > GENERATOR_SHARE * best.get(_place(place), math.inf)
    }


def _place(parts: Sequence[str]) -> Place:
    workload, connection = parts
    return workload, connection
