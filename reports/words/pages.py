"""What isolation costs a page, in sentences and tables. Pure."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import pandas as pd

from harness.results.analysis.page_cost import LIMIT, PAGES_US, Check, Cost, PageCosts
from harness.results.conditions import BASELINE
from harness.results.format import NONE, duration, join, percent, percent_range
from harness.stats.intervals import Interval

HEADING = "What isolation costs a page"
TELLING_US = 50_000
"""The page that the sentences are about: what a content management system takes for one."""

_NAMED = ("fastcgi", "harache", "suexec")
"""A worker that is there already, one that is forked, one that is executed."""
_LITTLE = 0.01
_FAR_FETCHED = 4.0
"""How many times the lower end the upper one may be: from half to twice the middle."""


def sentences(pages: Sequence[PageCosts], baseline: str = BASELINE) -> list[str]:
    """Return what isolation costs a page, and whether measured pages bear it out."""
    several = len(pages) > 1
    return [
        sentence
        for one in pages
        for sentence in (*_costs(one, baseline, several), *_checks(one), *_failed(one))
    ]


def _costs(pages: PageCosts, baseline: str, several: bool) -> Iterator[str]:
    place = PAGES_US.index(TELLING_US)
    others = [cost for cost in pages.costs if cost.target != baseline]
    named = [cost for cost in others if cost.target in _NAMED] or others[:3]
    first, *rest = [(cost.target, _cost(cost.shares[place])) for cost in named]
    told = [f"{first[0]} costs {first[1]} of {baseline}'s capacity"]
    told += [f"{target} {cost}" for target, cost in rest]
    words = f"or a page of {duration(TELLING_US)} of CPU time, {join(told)}."
    yield f"With {pages.condition.parts()[2]}, f{words}" if several else f"F{words}"
    little = [cost.target for cost in others if 1 - cost.shares[place].mid < _LITTLE]
    if little:
        costs = "costs" if len(little) == 1 else "cost"
        yield f"{join(little)} {costs} less than {_LITTLE:.0%} of it."


def _cost(share: Interval) -> str:
    """Return what a share leaves to be paid, with its interval."""
    if share.mid >= 1:
        return "nothing that could be measured"
    low, high = (max(0.0, 1 - end) for end in (share.high, share.low))
    known = percent_range(low, high)
    return percent(1 - share.mid) + (f" ({known})" if known else "")


def _checks(pages: PageCosts) -> Iterator[str]:
    if not pages.checks:
        return
    held = sum(check.holds for check in pages.checks)
    unsure = sum(not check.sure for check in pages.checks)
    of_these = f" (for {unsure}, the interval crosses that limit)" if unsure else ""
    worst = max(pages.checks, key=lambda check: abs(check.ratio.mid - 1))
    furthest = f"{worst.target} with {worst.workload}, is {_share(worst.measured)}"
    yield (
        f"Of {len(pages.checks)} measured shares, {held} {'lies' if held == 1 else 'lie'} within "
        f"{percent(LIMIT)} of what hello's CPU times predict{of_these}; the furthest, "
        f"{furthest} where {percent(worst.predicted.mid)} was predicted."
    )


def _failed(pages: PageCosts) -> Iterator[str]:
    surely = [f"{check.target} with {check.workload}" for check in pages.checks if _wrong(check)]
    if surely:
        yield (
            f"The prediction does not hold for {join(surely)}: the mode makes the script itself "
            "slower or faster than the baseline does."
        )


def _wrong(check: Check) -> bool:
    return check.sure and not check.holds


def table(pages: PageCosts) -> pd.DataFrame:
    """Return a row a target: its overhead, and its share for each page, as texts."""
    return pd.DataFrame([_row(cost) for cost in pages.costs])


def _row(cost: Cost) -> dict[str, str]:
    pages = zip(PAGES_US, cost.shares, strict=True)
    return {
        "target": cost.target,
        "CPU of a hello": duration(cost.overhead_us.mid),
        **{duration(microseconds): _share(share) for microseconds, share in pages},
    }


def checks_table(pages: PageCosts) -> pd.DataFrame:
    """Return a row for each page and target that was measured, as texts; maybe none."""
    return pd.DataFrame(
        [
            {
                "page": check.workload,
                "target": check.target,
                "took": duration(check.took_us.mid),
                "predicted": _share(check.predicted),
                "measured": _share(check.measured),
                "by CPU time": _share(check.by_cpu),
                "off": f"{100 * (check.ratio.mid - 1):+.1f}%",
                f"within {percent(LIMIT)}": _verdict(check),
            }
            for check in pages.checks
        ]
    )


def _verdict(check: Check) -> str:
    return ("yes" if check.holds else "no") + ("" if check.sure else ", not surely")


def _share(share: Interval) -> str:
    """Return a share with one decimal, since those near 100% differ in it, and its interval."""
    if not math.isfinite(share.mid):
        return NONE
    known = math.isfinite(share.low) and share.low < share.high
    if known and share.high > _FAR_FETCHED * share.low:
        return f"{100 * share.mid:.1f}% (>\N{PLUS-MINUS SIGN}100%)"
    interval = f" ({100 * share.low:.1f}\N{EN DASH}{100 * share.high:.1f}%)" if known else ""
    return f"{100 * share.mid:.1f}%{interval}"
