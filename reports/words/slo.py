"""Which rate keeps a promise, in sentences and a table. Pure."""

from __future__ import annotations

import math
from collections.abc import Sequence

import pandas as pd
from rich.table import Table

from harness.results.analysis.slo import Kept
from harness.results.format import NONE, count, duration, percent
from harness.stats.intervals import Interval

HEADING = "Capacity under a promise"
_USELESS = 100
"""An interval whose ends are further apart than this factor is too wide to report."""
_IN_TERMINAL = ("target", "req/s", "95% interval", "tenants a core", "CPU used", "note")


def promised(promise: str) -> str:
    """Return a promise in words: "p99 < 50 ms" is "p99 below 50 ms"."""
    return promise.replace(" < ", " below ")


def sentences(found: Sequence[Kept]) -> list[str]:
    """Return one sentence a target; none of those about which nothing is known."""
    return [_sentence(one) for one in found if one.is_never or one.blocks]


def _sentence(one: Kept) -> str:
    if one.is_never:
        return _never(one)
    text = f"`{one.target}` keeps {promised(one.promise)} up to {_up_to(one)}"
    if math.isfinite(one.tenants_per_core.mid):
        at_least = "at least " if one.at_least else ""
        text += f"; at {count(one.rate_per_tenant)} req/s a tenant that is {at_least}"
        text += f"{_with_interval(one.tenants_per_core)} tenants a core"
    if one.too_few:
        text += f" (a load had {one.requests:,.0f} requests, where {one.wanted:,.0f} are wanted)"
    if one.never:
        text += f"; in {one.never} of {one.never + one.blocks} blocks no rate kept it"
    return f"{text}."


def _up_to(one: Kept) -> str:
    rate = f"{count(one.rate.mid)} req/s"
    if one.at_least:
        return f"at least {rate}: the load generator could offer no more"
    return f"{rate}{_range(one.rate, ' ({} to {})')}"


def _with_interval(interval: Interval) -> str:
    return f"{count(interval.mid)}{_range(interval, ' ({} to {})')}"


def _never(one: Kept) -> str:
    text = f"`{one.target}` never keeps {promised(one.promise)}"
    if not math.isfinite(one.alone):
        return f"{text}."
    alone = f"with a single user {one.measure} is {value(one.measure, one.alone)}"
    if one.alone_of_limit < 1:
        return f"{text} at a rate that was tried, although {alone}."
    return f"{text}: {alone}."


def value(measure: str, number: float) -> str:
    """Return a measure's value with its unit."""
    return percent(number) if measure == "errors" else duration(number)


def _range(interval: Interval, pattern: str) -> str:
    if not math.isfinite(interval.low):
        return ""
    if interval.high > _USELESS * interval.low:
        return " (>±900%)" if "(" in pattern else ">±900%"
    return pattern.format(count(interval.low), count(interval.high))


def left_out(found: Sequence[Kept]) -> list[str]:
    """Return which targets, or searches of them, gave nothing, and why."""
    return [f"{one.target}: {one.failed}" for one in found if one.failed]


def table(found: Sequence[Kept]) -> pd.DataFrame:
    """Return the targets as texts, a row each."""
    return pd.DataFrame([_row(one) for one in found])


def terminal_table(found: Sequence[Kept]) -> Table:
    """Return the table that the command ends with."""
    texts = table(found)
    shown = Table(box=None, pad_edge=False)
    names = [name for name in _IN_TERMINAL if name in texts]
    for name in names:
        left = name in ("target", "note")
        shown.add_column(name, justify="left" if left else "right", no_wrap=name != "note")
    if "note" in texts:  # a sentence below has the numbers
        texts["note"] = [_note(one, brief=True) for one in found]
    for cells in texts[names].to_numpy().tolist():
        shown.add_row(*cells)
    return shown


def _row(one: Kept) -> dict[str, str]:
    tenants = one.tenants_per_core
    at_least = "≥ " if one.at_least else ""
    row = {
        "target": one.target,
        "runs as": one.runs_as,
        "req/s": f"{at_least}{count(one.rate.mid)}" if one.blocks else NONE,
        "95% interval": _range(one.rate, "{} to {}") or NONE,
    }
    if math.isfinite(one.rate_per_tenant):
        row["tenants a core"] = f"{at_least}{count(tenants.mid)}" if one.blocks else NONE
        row["95% of tenants"] = _range(tenants, "{} to {}") or NONE
    return row | {
        "CPU used": percent(one.cpu_share),
        "with one user": value(one.measure, one.alone) if math.isfinite(one.alone) else NONE,
        "blocks": str(one.blocks),
        "requests a load": count(one.requests),
        "note": _note(one),
    }


def _note(one: Kept, *, brief: bool = False) -> str:
    notes = []
    if one.is_never:
        notes.append("never")
    elif one.never:
        notes.append(f"never in {one.never} of {one.never + one.blocks} blocks")
    if one.at_least:
        notes.append("generator-bound")
    if one.too_few and not one.is_never:
        wanted = f"{one.wanted:,.0f} requests a load are wanted"
        notes.append("few requests" if brief else wanted)
    if one.failed:
        notes.append(one.failed)
    return "; ".join(notes)
