"""What modes are made of: CPU time put together from mechanisms that were measured. Pure.

Strategy
========

**A mechanism is measured where it is used.** A server of `dso` that does one thing more for each
request (`servers.mechanisms`) is interleaved with `dso` itself, by the same slices as modes are
(`harness.plan.interleaving`), in the same run. What it takes more, by its cgroup's clock, is what
the mechanism costs in a process of a worker's size, whose caches others have used meanwhile. It is
taken as a share of what `dso` takes in the same seconds, so that it does not matter in which of its
speeds the host was. Where a mechanism is part of another, theirs is the difference of the two.

**A mode is the sum.** What a request takes in `dso` is taken as measured: accepting, parsing,
locating, the script itself, the answer. A mode's `recipe` names what it adds to that. One number
comes from the mode's own trials: how many page faults it has beyond those that `dso` and its
mechanisms have. What one costs is measured as well.

Nothing is fitted: there is no constant that would make a sum come out right. What is further off
than `LIMIT` is called unexplained, and is.

**Intervals** are Student's over the blocks, of each part; those of a sum are added in quadrature,
which takes parts for independent of each other.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from harness.results.conditions import BASELINE, Condition, by_condition
from harness.stats.intervals import CONFIDENCE, t_reach

LIMIT = 0.15
WORKLOAD = "hello"
_CPU = "cpu_us_per_request"
_FAULTS = "page_faults_per_request"

Row = Mapping[Any, Any]  # of a table; pandas types the names as Hashable


@dataclass(frozen=True)
class Ingredient:
    """What a recipe may name: a mechanism, less another that is part of it."""

    words: str
    mechanism: str
    beyond: str | None = None


INGREDIENTS: Mapping[str, Ingredient] = {
    "identity": Ingredient("a change of identity and back", "identity"),
    "thread": Ingredient("a thread, started and joined", "thread"),
    "fork": Ingredient("fork, exit and reaping of a child", "fork"),
    "child": Ingredient("the script in a child with cold caches, and its answer", "child", "fork"),
    "namespaces": Ingredient("five new namespaces", "namespaces", "fork"),
    "walls": Ingredient("the walls that a child puts on", "walls", "namespaces"),
    "replacement": Ingredient("the replacement of the worker", "replacement"),
    "tenant_process": Ingredient("the script in a process of the tenant's own", "tenant_process"),
    "guarded_calls": Ingredient("six calls that a supervisor lets pass", "guarded_calls"),
    "audit_hook": Ingredient("an audit hook", "audit_hook"),
    "switch": Ingredient("a byte to another process and back", "switch"),
    "program": Ingredient("an interpreter, from its creation to its end", "program"),
    "imports": Ingredient("the script's imports", "imports", "program"),
    "wrapper": Ingredient("a small C program, from its creation to its end", "wrapper"),
}
"""What a mode's `recipe` may name. Page faults are added to each."""

_PRICES = ("fork", "pages")


def needed(recipes: Iterable[Sequence[str]]) -> tuple[str, ...]:
    """Return the mechanisms that must be measured for these recipes, in alphabetical order.

    Names that no ingredient has are passed over: a recipe may be of a later version.
    """
    named = [INGREDIENTS[name] for recipe in recipes for name in recipe if name in INGREDIENTS]
    if not named:
        return ()
    found = {one.mechanism for one in named} | {one.beyond for one in named if one.beyond}
    return tuple(sorted({*found, *_PRICES}))


@dataclass(frozen=True)
class Amount:
    """Microseconds a request, with half of their 95% interval; NaN from one block."""

    us: float
    half_us: float


@dataclass(frozen=True)
class Part:
    """What a mode does, and what that costs a request."""

    words: str
    amount: Amount


@dataclass(frozen=True)
class Explanation:
    """A target's measured CPU time per request, and the parts that are to make it up."""

    target: str
    measured_us: float
    parts: tuple[Part, ...]

    @property
    def predicted(self) -> Amount:
        """The sum of the parts."""
        amounts = [part.amount for part in self.parts]
        return Amount(
            sum(one.us for one in amounts), math.sqrt(sum(one.half_us**2 for one in amounts))
        )

    @property
    def rest_us(self) -> float:
        """What was measured beyond the parts."""
        return self.measured_us - self.predicted.us

    @property
    def difference(self) -> float:
        """The rest, as a share of what was measured."""
        return self.rest_us / self.measured_us

    @property
    def explained(self) -> bool:
        """Whether the parts make up what was measured."""
        return abs(self.difference) <= LIMIT


@dataclass(frozen=True)
class _Added:
    """What mechanisms add to a request of the baseline, by name, one value a block.

    CPU time as a share of the baseline's, faults as numbers.
    """

    shares: Mapping[str, Mapping[int, float]]
    faults: Mapping[str, float]

    @classmethod
    def read(cls, mechanisms: pd.DataFrame) -> _Added:
        good = mechanisms[mechanisms["verdict"] == "ok"]
        shares: dict[str, dict[int, float]] = {}
        for row in good.to_dict("records"):
            share = row[_CPU] / row[f"baseline_{_CPU}"] - 1
            shares.setdefault(str(row["mechanism"]), {})[int(row["block"])] = float(share)
        return cls(shares, _more_faults(good))

    def amount(self, base_us: float, mechanism: str, beyond: str | None) -> Amount | None:
        """Return what a mechanism costs where the baseline takes `base_us`; None if unknown."""
        own = self.shares.get(mechanism, {})
        less = dict.fromkeys(own, 0.0) if beyond is None else self.shares.get(beyond, {})
        values = [base_us * (own[block] - less[block]) for block in own if block in less]
        return _amount(values) if values else None

    def page(self, base_us: float) -> Amount | None:
        """Return what a page costs that a child writes to; None if unknown."""
        pages = self.faults.get("pages", 0.0) - self.faults.get("fork", 0.0)
        whole = self.amount(base_us, "pages", "fork")
        if whole is None or pages <= 0:
            return None
        return Amount(whole.us / pages, whole.half_us / pages)


def _more_faults(rows: pd.DataFrame) -> dict[str, float]:
    """Return the median over blocks of the page faults that a mechanism adds to a request."""
    more = (rows[_FAULTS] - rows[f"baseline_{_FAULTS}"]).groupby(rows["mechanism"]).median()
    return {str(mechanism): float(number) for mechanism, number in more.items()}


def _amount(values: Sequence[float]) -> Amount:
    if len(values) == 1:
        return Amount(values[0], math.nan)
    error = statistics.stdev(values) / math.sqrt(len(values))
    return Amount(statistics.fmean(values), t_reach(CONFIDENCE, len(values) - 1) * error)


def explain(
    summary: pd.DataFrame, mechanisms: pd.DataFrame, recipes: Mapping[str, Sequence[str]]
) -> tuple[Condition, list[Explanation]] | None:
    """Return the condition and an explanation a target; None without the baseline or mechanisms.

    `mechanisms` is mechanisms.parquet, `recipes` has the names of the `INGREDIENTS` of each target
    that is to be explained. One of which a part was not measured is left out.
    """
    found = None if mechanisms.empty else _rows(summary, mechanisms)
    if found is None:
        return None
    condition, rows = found
    base = next(row for row in rows if row["target"] == BASELINE)
    added = _Added.read(mechanisms)
    explanations = [
        Explanation(str(row["target"]), float(row["server_cpu_us_per_request"]), parts)
        for row in rows
        if (recipe := recipes.get(str(row["target"]))) is not None
        and (parts := _parts(recipe, added, base, row)) is not None
    ]
    explanations.sort(key=lambda one: one.measured_us)
    return (condition, explanations) if explanations else None


def _rows(summary: pd.DataFrame, mechanisms: pd.DataFrame) -> tuple[Condition, list[Row]] | None:
    """Return the condition under which mechanisms were measured, and its rows."""
    measured = mechanisms.iloc[0]
    for condition, rows in by_condition(summary):
        known = rows[(rows["trials"] > 0) & rows["server_cpu_us_per_request"].notna()]
        same = all(
            getattr(condition, name) == measured[name]
            for name in ("workload", "load", "connection")
        )
        if same and (known["target"] == BASELINE).any():
            records: list[Row] = known.to_dict("records")  # type: ignore[assignment]
            return condition, records
    return None


def _parts(recipe: Sequence[str], added: _Added, base: Row, row: Row) -> tuple[Part, ...] | None:
    """Return what a recipe comes to; None where a part was not measured, or is not known."""
    base_us = float(base["server_cpu_us_per_request"])
    ingredients = [INGREDIENTS.get(name) for name in recipe]
    known = [one for one in ingredients if one is not None]
    amounts = [(one.words, added.amount(base_us, one.mechanism, one.beyond)) for one in known]
    page = added.page(base_us)
    amounts.append(_times("{} more page faults", page, _faults_beyond(base, row, added, known)))
    if len(known) < len(ingredients) or any(amount is None for _, amount in amounts):
        return None
    whole = Part(f"what {BASELINE} takes", Amount(base_us, 0.0))
    return (whole, *(Part(words, one) for words, one in amounts if one is not None))


def _faults_beyond(base: Row, row: Row, added: _Added, known: Sequence[Ingredient]) -> float:
    """Return how many page faults a target has beyond the baseline and its mechanisms."""
    names = [(one.mechanism, one.beyond) for one in known]
    of_mechanisms = sum(
        added.faults.get(own, 0.0) - (added.faults.get(beyond, 0.0) if beyond else 0.0)
        for own, beyond in names
    )
    return float(row[_FAULTS]) - float(base[_FAULTS]) - of_mechanisms


def _times(words: str, price: Amount | None, number: float) -> tuple[str, Amount | None]:
    counted = words.format(f"{number:.3g}")
    if price is None:
        return counted, None
    return counted, Amount(price.us * number, price.half_us * abs(number))
