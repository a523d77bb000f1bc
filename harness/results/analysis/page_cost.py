"""What isolation costs a page: from the CPU time of hello to a mode's share for real pages. Pure.

Strategy
========

**Overhead is what carries over.** A mode does the same for a request whatever its script does, so
what it takes for `hello`, in CPU time of the whole server, is its overhead `o`. A page that needs
the CPU time `p` of its own then costs `p + o`, and a core that does nothing else serves
`1 / (p + o)` of them a second. The mode's share of the baseline's capacity is

    share(p) = (p + o_baseline) / (p + o_mode)

and what it costs is `1 - share(p)`. The baseline's own overhead is in it, since its server has to
do something for a page, too. What little hello's script itself does is in both overheads.

**The test.** Where a page was measured, `p` is what it took: the baseline's CPU time for a request
of it, less `o_baseline`. It puts on both sides of the prediction what the page took in this run, at
this host's speeds. Beside it stands the ratio of the rates, which does not use CPU times. They
differ where a mode makes the script itself slower or faster than the baseline does: cold caches,
pages copied, code that has to be compiled for each request.

Overheads and shares are taken in each block, where the host is the same for all, and their
intervals are those of `geometric_interval` over the blocks.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TypeVar

import pandas as pd

from harness.results.blocks import valid_trials
from harness.results.conditions import BASELINE, Condition, by_condition, under
from harness.stats.intervals import Interval, geometric_interval
from workloads.catalog import page_us

HELLO = "hello"
"""The workload whose cost is all overhead."""

PAGES_US = (1_000, 5_000, 20_000, 50_000, 200_000)
"""The pages for which shares are told, in CPU time of their own."""

LIMIT = 0.10
"""How far the share that was measured may lie from the prediction."""

_CPU, _RATE = "server_cpu_us_per_request", "requests_per_second"


@dataclass(frozen=True)
class Cost:
    """A target's overhead, in microseconds a request, and its shares for `PAGES_US`, in order."""

    target: str
    overhead_us: Interval
    shares: tuple[Interval, ...]


@dataclass(frozen=True)
class Check:
    """A target's predicted and measured share for a page, which took `took_us` by itself.

    `measured` is the ratio of the rates, `by_cpu` that of the CPU times. `ratio` is measured to
    predicted.
    """

    target: str
    workload: str
    took_us: Interval
    predicted: Interval
    measured: Interval
    by_cpu: Interval
    ratio: Interval

    @property
    def holds(self) -> bool:
        """Whether the measured share lies within the limit of the prediction."""
        return abs(self.ratio.mid - 1) <= LIMIT

    @property
    def sure(self) -> bool:
        """Whether the whole interval says the same."""
        low, high = self.ratio.low - 1, self.ratio.high - 1
        if self.holds:
            return low >= -LIMIT and high <= LIMIT
        return low > LIMIT or high < -LIMIT


@dataclass(frozen=True)
class PageCosts:
    """What isolation costs pages under one condition, that of hello; the cheapest target first."""

    condition: Condition
    costs: tuple[Cost, ...]
    checks: tuple[Check, ...]

    def check(self, target: str, microseconds: int) -> Check | None:
        """Return the check of a target with a page of this length; None where there is none."""
        asked = (target, microseconds)
        same = (one for one in self.checks if (one.target, page_us(one.workload)) == asked)
        return next(same, None)


def page_costs(trials: pd.DataFrame, baseline: str = BASELINE) -> list[PageCosts]:
    """Return the costs under each closed load of hello that the baseline was measured under."""
    valid = valid_trials(trials)
    found = []
    for condition in _conditions(valid):
        overheads = _by_block(valid, condition, _CPU)
        if condition.workload == HELLO and baseline in overheads and len(overheads.columns) > 1:
            costs = sorted(_costs(overheads, baseline), key=lambda cost: cost.overhead_us.mid)
            checks = tuple(_checks(valid, condition, overheads, baseline))
            found.append(PageCosts(condition, tuple(costs), checks))
    return found


Time = TypeVar("Time", float, "pd.Series[float]")


def share(page: Time, of_baseline: Time, of_mode: Time) -> Time:
    """Return a mode's share of the baseline's capacity, from times of one unit."""
    return (page + of_baseline) / (page + of_mode)


def _conditions(valid: pd.DataFrame) -> list[Condition]:
    """Return the different conditions with a closed load, in their order."""
    return [condition for condition, _ in by_condition(valid) if not condition.is_open]


def _by_block(valid: pd.DataFrame, condition: Condition, column: str) -> pd.DataFrame:
    """Return a column's values under a condition: a row a block, a column a target."""
    values = under(valid[valid[column] > 0], condition).astype({column: float})
    return values.pivot_table(values=column, index="block", columns="target", aggfunc="median")


def _costs(overheads: pd.DataFrame, baseline: str) -> Iterator[Cost]:
    for target in overheads.columns:
        both = pd.DataFrame({"mode": overheads[target], "base": overheads[baseline]}).dropna()
        if both.empty:
            continue
        base, mode = both["base"].astype(float), both["mode"].astype(float)
        shares = (share(base * 0 + page, base, mode) for page in PAGES_US)
        yield Cost(str(target), _interval(mode), tuple(map(_interval, shares)))


def _checks(
    valid: pd.DataFrame, condition: Condition, overheads: pd.DataFrame, baseline: str
) -> Iterator[Check]:
    for other in sorted(_pages_like(valid, condition), key=_microseconds):
        cpu, rates = (_by_block(valid, other, column) for column in (_CPU, _RATE))
        if baseline not in cpu or baseline not in rates:
            continue
        page = cpu[baseline] - overheads[baseline]
        for target in sorted({*cpu.columns} & {*rates.columns} & {*overheads.columns} - {baseline}):
            blocks = pd.DataFrame(
                {
                    "took_us": page,
                    "predicted": share(page, overheads[baseline], overheads[target]),
                    "measured": rates[target] / rates[baseline],
                    "by_cpu": cpu[baseline] / cpu[target],
                }
            ).dropna()
            blocks = blocks[blocks["took_us"] > 0]
            if not blocks.empty:
                seen = {str(name): _interval(column) for name, column in blocks.items()}
                ratio = _interval(blocks["measured"] / blocks["predicted"])
                yield Check(str(target), other.workload, **seen, ratio=ratio)


def _pages_like(valid: pd.DataFrame, condition: Condition) -> Iterator[Condition]:
    for other in _conditions(valid):
        if page_us(other.workload) and other[1:] == condition[1:]:
            yield other


def _microseconds(condition: Condition) -> int:
    return page_us(condition.workload) or 0


def _interval(values: pd.Series[float] | Sequence[float]) -> Interval:
    return geometric_interval(list(values))
