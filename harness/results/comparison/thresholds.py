"""When `isobench compare` must fail: bounds such as "p99_ms > 10%". Pure.

Strategy
========

A bound is broken *with confidence*: not when the estimate lies beyond it, but when the whole
interval does. Equal runs whose blocks scatter then break no bound, and a bound of -5% is not
broken by a true change of -4%.

**Many rows.** The near end of a 95% interval lies beyond the truth in 2.5% of all cases. A bound
over thirty rows would be broken by chance in half of all comparisons if nothing were done, and a
gate that cries wolf is switched off. So the one-sided p-values of all checks together are adjusted
(Holm 1979), and a bound is broken where the adjusted one is at most 2.5%. For a single check that
is exactly the near end of the 95% interval. A check that passes only without the adjustment is
"suspected": it is reported, and fails nothing.
"""

from __future__ import annotations

import enum
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from harness.errors import IsobenchError
from harness.stats.intervals import CONFIDENCE, LogRatio
from harness.stats.significance import holm

LEVEL = (1 - CONFIDENCE) / 2

# A target's name may hold colons of its own ("cgi:spawn=fork"): the last one ends it.
_BOUND = re.compile(
    r"(?:(?P<target>\S.*):\s*)?(?P<metric>\w+)\s*"
    r"(?P<sign>[<>])\s*(?P<percent>[+-]?\d+(?:\.\d+)?)\s*%"
)
_SHARE = re.compile(r"(\d+(?:\.\d+)?)\s*%")


class Outcome(enum.StrEnum):
    """The outcome of a bound for a row of a comparison."""

    BROKEN = "broken"
    SUSPECTED = "suspected"
    KEPT = "kept"
    UNKNOWN = "cannot be judged"


@dataclass(frozen=True)
class Bound:
    """The largest acceptable change of a metric, in percent; for one target, or for any (None)."""

    metric: str
    above: bool
    percent: float
    target: str | None = None

    def __str__(self) -> str:
        of_target = f"{self.target}: " if self.target else ""
        return f"{of_target}{self.metric} {'>' if self.above else '<'} {self.percent:g}%"

    def p_value(self, ratio: LogRatio) -> float:
        """Return the one-sided p-value of "the true change is not beyond the bound"."""
        limit = 1 + self.percent / 100
        return ratio.p_not_above(limit) if self.above else ratio.p_not_below(limit)


class Row(Protocol):
    """What a bound needs from a row of a comparison."""

    @property
    def target(self) -> str: ...  # noqa: D102
    @property
    def metric(self) -> str: ...  # noqa: D102
    @property
    def logs(self) -> LogRatio: ...  # noqa: D102


@dataclass(frozen=True)
class Check:
    """One bound on one row, by its place in the comparison. `p_value` is adjusted."""

    bound: Bound
    place: int
    p_value: float
    outcome: Outcome


def parse_bound(text: str, metrics: Sequence[str]) -> Bound:
    """Read `METRIC < NUMBER%` or `TARGET: METRIC > NUMBER%`. Raises IsobenchError."""
    match = _BOUND.fullmatch(text.strip())
    if match is None:
        raise IsobenchError(
            f"--fail-if {text!r} cannot be read",
            hint="write METRIC, < or >, and a percentage: 'requests_per_second < -5%', "
            "or with a target: 'dso: p99_ms > 10%'",
        )
    target, metric, sign, percent = (
        match["target"],
        match["metric"],
        match["sign"],
        match["percent"],
    )
    if metric not in metrics:
        raise IsobenchError(
            f"--fail-if {text!r} names an unknown metric",
            hint=f"the metrics are {', '.join(metrics)}",
        )
    if float(percent) <= -100:
        raise IsobenchError(
            f"--fail-if {text!r} can never hold: nothing falls by 100% or more",
            hint="choose a bound above -100%",
        )
    return Bound(metric, sign == ">", float(percent), target and target.strip())


def parse_share(text: str, option: str) -> float:
    """Read a percentage such as `3%` as a share, 0.03. Raises IsobenchError."""
    match = _SHARE.fullmatch(text.strip())
    share = float(match[1]) / 100 if match else 0.0
    if not 0 < share < 1:
        raise IsobenchError(
            f"{option} {text!r} is not a percentage between 0 and 100",
            hint=f"write it with its sign, such as {option} 3%",
        )
    return share


def check(bounds: Sequence[Bound], rows: Sequence[Row]) -> tuple[Check, ...]:
    """Return the outcome of every bound for the rows it applies to, bound by bound.

    Raises IsobenchError for a bound that none of the rows can ever break: a gate that does not
    close is worse than none.
    """
    found = [
        (bound, place, bound.p_value(row.logs))
        for bound in bounds
        for place, row in enumerate(rows)
        if row.metric == bound.metric and bound.target in (None, row.target)
    ]
    for bound in bounds:
        _must_be_judged(bound, [p for of, _, p in found if of is bound], rows)
    adjusted = holm([p_value for *_, p_value in found])
    return tuple(
        Check(bound, place, after, _outcome(before, after))
        for (bound, place, before), after in zip(found, adjusted, strict=True)
    )


def _must_be_judged(bound: Bound, p_values: Sequence[float], rows: Sequence[Row]) -> None:
    if not p_values:
        known = dict.fromkeys(row.target for row in rows if row.metric == bound.metric)
        raise IsobenchError(
            f"--fail-if '{bound}' matches nothing that both runs measured",
            hint=f"{bound.metric} is available for {', '.join(known)}"
            if known
            else f"{bound.metric} is missing from one folder or both",
        )
    if all(math.isnan(p_value) for p_value in p_values):
        raise IsobenchError(
            f"--fail-if '{bound}' cannot be judged: one valid block gives no interval",
            hint="measure both runs with --blocks 5 or more",
        )


def _outcome(p_value: float, adjusted: float) -> Outcome:
    if math.isnan(p_value):
        return Outcome.UNKNOWN
    if adjusted <= LEVEL:
        return Outcome.BROKEN
    return Outcome.SUSPECTED if p_value <= LEVEL else Outcome.KEPT
