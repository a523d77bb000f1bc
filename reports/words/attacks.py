"""What the attacks showed: counts, shares, and which targets are dominated. Pure.

An attack counts as stopped where it was blocked. It does not count where it had no object
(not-applicable); where it gave no result (error), that is counted by itself. A family's share is of
its attacks that count; a target's share is the mean over its families, each with the same weight,
since a family is one kind of harm however many attacks show it.

Isolation is two promises (docs/security.md). Between requests: nothing that one leaves behind
reaches the next of the same tenant; the family `BETWEEN_REQUESTS` is about that. Between tenants:
all other families.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from harness.results.conditions import BASELINE, Condition, by_condition
from harness.results.format import NONE, percent

SAFE = "harache"
"""The target that the others' safety is compared with; `BASELINE` is the one for speed."""

BETWEEN_REQUESTS = "next_request"
"""The family of attacks on the same tenant's next request."""

MARKS: Mapping[str, str] = {
    "succeeded": "\N{MULTIPLICATION SIGN}",
    "blocked": "\N{MIDDLE DOT}",
    "not-applicable": "",
    "not-made": "",
    "error": "?",
}
"""The mark of each outcome, the most important outcome first."""


@dataclass(frozen=True)
class Stopped:
    """How many attacks were stopped: `blocked` of `counted`; `errors` more gave no result."""

    blocked: int
    counted: int
    errors: int = 0

    @classmethod
    def of(cls, outcomes: Sequence[str]) -> Stopped:
        """Count outcomes as attacks.parquet names them."""
        found = Counter(outcomes)
        return cls(found["blocked"], found["blocked"] + found["succeeded"], found["error"])

    @classmethod
    def all_of(cls, parts: Iterable[Stopped]) -> Stopped:
        """Add some up."""
        sums = [(part.blocked, part.counted, part.errors) for part in parts]
        return cls(*map(sum, zip(*sums, strict=True))) if sums else cls(0, 0)

    @property
    def share(self) -> float:
        """The share that was stopped; NaN where nothing counts."""
        return self.blocked / self.counted if self.counted else math.nan

    def __str__(self) -> str:
        return self._with_errors(f"{self.blocked}/{self.counted}")

    @property
    def percent(self) -> str:
        """The share in percent, and how many gave no result."""
        return self._with_errors(percent(self.share))

    def _with_errors(self, text: str) -> str:
        said = [text] if self.counted else []
        said += [f"{self.errors}{MARKS['error']}"] if self.errors else []
        return " ".join(said) or NONE


@dataclass(frozen=True)
class Standing:
    """What one target stopped, by family and in all."""

    target: str
    families: Mapping[str, Stopped]
    total: Stopped

    @property
    def share(self) -> float:
        """The mean over families that have attacks which count."""
        return _mean(self.families.values())

    @property
    def between_tenants(self) -> Mapping[str, Stopped]:
        """The families that are about what tenants do to each other, and to the server."""
        return {name: of for name, of in self.families.items() if name != BETWEEN_REQUESTS}

    @property
    def share_between_tenants(self) -> float:
        """The mean over these, as `share`."""
        return _mean(self.between_tenants.values())

    @property
    def percent_between_tenants(self) -> str:
        """The same in percent."""
        return percent(self.share_between_tenants)

    @property
    def between_requests(self) -> Stopped:
        """Of the attacks on the same tenant's next request."""
        return self.families.get(BETWEEN_REQUESTS, Stopped(0, 0))

    @property
    def percent(self) -> str:
        """The same in percent; a question mark where errors are all there is."""
        return (
            MARKS["error"] if self.total.errors and not self.total.counted else percent(self.share)
        )


def _mean(families: Iterable[Stopped]) -> float:
    shares = [found.share for found in families if found.counted]
    return sum(shares) / len(shares) if shares else math.nan


def standings(attacks: pd.DataFrame) -> list[Standing]:
    """Return what each target stopped, the one that stopped most first.

    A real product follows the mode that re-enacts it, where that is among the targets.
    """
    families = [str(name) for name in attacks["family"].unique()]
    outcomes: dict[str, dict[str, list[str]]] = {}
    for target, family, outcome in zip(
        *(attacks[name].tolist() for name in ("target", "family", "outcome")), strict=True
    ):
        of_target = outcomes.setdefault(target, {name: [] for name in families})
        of_target[family].append(outcome)
    found = [
        Standing(
            target,
            {family: Stopped.of(some) for family, some in of_target.items()},
            Stopped.of([outcome for some in of_target.values() for outcome in some]),
        )
        for target, of_target in outcomes.items()
    ]
    # Those of which nothing counts are last.
    ranked = sorted(found, key=lambda one: (math.isnan(one.share), -one.share, one.target))
    beside = modes_beside(attacks)
    alone = [one for one in ranked if one.target not in beside]
    return [
        one
        for mode in alone
        for one in (mode, *(peer for peer in ranked if beside.get(peer.target) == mode.target))
    ]


def modes_beside(attacks: pd.DataFrame) -> dict[str, str]:
    """Return of each real product the mode that re-enacts it, if that was attacked, too."""
    if "beside" not in attacks:
        return {}
    known = set(attacks["target"])
    pairs = attacks[["target", "beside"]].drop_duplicates().itertuples(index=False)
    return {str(peer): str(mode) for peer, mode in pairs if mode in known}


@dataclass(frozen=True)
class Place:
    """Where a target stands between security and speed, under one condition.

    `share` and `stopped` are of the attacks between tenants, `requests` of those between requests.
    """

    target: str
    share: float
    stopped: Stopped
    requests: Stopped
    rate: float
    p99_ms: float
    ratio: float
    verdict: str


def places(attacks: pd.DataFrame, rows: pd.DataFrame) -> list[Place]:
    """Return the places of the targets that were both attacked and measured, the fastest first.

    One of which no attack between tenants counts has none.
    """
    of_target = {
        one.target: one for one in standings(attacks) if not math.isnan(one.share_between_tenants)
    }
    found = [
        Place(
            row["target"],
            of_target[row["target"]].share_between_tenants,
            Stopped.all_of(of_target[row["target"]].between_tenants.values()),
            of_target[row["target"]].between_requests,
            row["requests_per_second"],
            row["p99_ms"],
            1.0 if row["target"] == BASELINE else row[f"ratio_to_{BASELINE}"],
            row["verdict"],
        )
        for row in rows.to_dict("records")
        if row["target"] in of_target and row["trials"] > 0
    ]
    return sorted(found, key=lambda place: -place.rate)


def keep_requests_apart(found: Sequence[Place]) -> list[Place]:
    """Return those that stop as large a share of the attacks between requests as `SAFE` does.

    Where that is not among them, those that stop all; none where no such attack counts.
    """
    least = next((one.requests.share for one in found if one.target == SAFE), 1.0)
    return [one for one in found if one.requests.counted and one.requests.share >= least > 0]


def undominated(points: Sequence[tuple[str, float, float]]) -> list[str]:
    """Return the names that no other is at least as good as in both, and better in one.

    A point is a name and two numbers, of which more is better. In descending order of the first.
    """
    kept = [
        (name, first, second)
        for name, first, second in points
        if not any(
            (other[1] >= first and other[2] >= second) and (other[1], other[2]) != (first, second)
            for other in points
        )
    ]
    return [name for name, _, _ in sorted(kept, key=lambda point: (-point[1], point[2]))]


def conditions(summary: pd.DataFrame) -> Iterator[tuple[Condition, pd.DataFrame]]:
    """Yield what security can be set against: conditions whose rates are results, with a rate."""
    if summary.empty:
        return
    for condition, rows in by_condition(summary):
        if not condition.is_open and (rows["trials"] > 0).any():
            yield condition, rows


def placed(attacks: pd.DataFrame, summary: pd.DataFrame) -> list[tuple[Condition, list[Place]]]:
    """Return where targets stand under each condition in which one was attacked and measured."""
    if attacks.empty:
        return []
    found = [(condition, places(attacks, rows)) for condition, rows in conditions(summary)]
    return [(condition, of_targets) for condition, of_targets in found if of_targets]


@dataclass(frozen=True)
class Cell:
    """An attack on one target, as the page shows it."""

    target: str
    outcome: str
    mark: str


@dataclass(frozen=True)
class Shown:
    """An attack, as the page shows it: a line of the matrix, and the evidence behind it.

    `evidence` has for each different outcome and evidence the targets that it is of.
    """

    name: str
    title: str
    control: str
    precedent: str
    cells: Sequence[Cell]
    evidence: Sequence[tuple[str, str, str]]


def shown(attacks: pd.DataFrame, targets: Sequence[str]) -> dict[str, list[Shown]]:
    """Return all attacks by family, each with its cells in the order of `targets`."""
    found: dict[str, list[Shown]] = {}
    for (family, name), rows in attacks.groupby(["family", "attack"], sort=False):
        of_target: dict[str, dict[Any, Any]] = {
            row["target"]: row for row in rows.to_dict("records")
        }
        cells = [
            Cell(target, outcome, MARKS[outcome])
            for target in targets
            for outcome in [of_target[target]["outcome"] if target in of_target else "not-made"]
        ]
        groups: dict[tuple[str, str], list[str]] = {}
        for target in targets:
            if target in of_target:
                row = of_target[target]
                groups.setdefault((row["outcome"], row["evidence"]), []).append(target)
        evidence = sorted(
            ((", ".join(names), outcome, text) for (outcome, text), names in groups.items()),
            key=lambda one: list(MARKS).index(one[1]),
        )
        first = next(iter(of_target.values()))
        control, precedent = (
            first[name] if isinstance(first.get(name), str) else ""
            for name in ("control", "precedent")
        )
        found.setdefault(str(family), []).append(
            Shown(str(name), str(first["title"]), control, precedent, cells, evidence)
        )
    return found
