"""The findings in plain sentences. Pure: a summary in, sentences out."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import pandas as pd

from harness.results import (
    BASELINE,
    Condition,
    by_condition,
    count,
    duration,
    percent,
    percent_range,
)
from reports import certainty

Row = Mapping[Any, Any]  # of a summary; pandas types the names as Hashable

IDENTITIES = {
    "server": "the server itself",
    "owner": "the owner of the site",
    "client": "the client",
}


def findings(summary: pd.DataFrame, baseline: str = BASELINE) -> list[str]:
    """Return what the summary says: speed, cost, identity, then what could not be measured."""
    measured = summary[summary["trials"] > 0]
    sentences = [
        sentence
        for condition, rows in by_condition(measured)
        for sentence in _of_condition(condition, rows.to_dict("records"), baseline)
    ]
    power = certainty.power(measured)
    return [*sentences, *power, *identities(measured), *_unmeasured(summary)]


def beside(
    summary: pd.DataFrame, target: str, references: Sequence[str], baseline: str = BASELINE
) -> list[str]:
    """Return a sentence for each condition that sets a target beside others in its blocks."""
    return [
        sentence
        for condition, rows in by_condition(summary[summary["trials"] > 0])
        for sentence in _beside(condition, rows.to_dict("records"), target, references, baseline)
    ]


def title(summary: pd.DataFrame, baseline: str = BASELINE) -> str:
    """Return the one line that a reader should remember, from the first condition."""
    measured = summary[summary["trials"] > 0]
    if measured.empty:
        return "Nothing could be measured"
    _, first = next(by_condition(measured))
    rows: Sequence[Row] = first.to_dict("records")
    base = _named(rows, baseline)
    owner = next((row for row in rows if row["runs_as"] == "owner"), None)
    if base and owner and _comparable(owner, base, baseline):
        ratio = percent(owner[f"ratio_to_{baseline}"])
        return f"Fastest with scripts run as their owners: {owner['target']}, {ratio} of {baseline}"
    fastest = "" if len(rows) == 1 else "Fastest: "
    return f"{fastest}{rows[0]['target']}, {_rate(rows[0])} requests per second"


def _of_condition(condition: Condition, rows: Sequence[Row], baseline: str) -> Iterator[str]:
    base = _named(rows, baseline)
    others = [row for row in rows if row is not base]
    lead = base or rows[0]
    if base is None:
        others = list(rows[1:])
    opening = (
        f"With {condition.words()}, {lead['target']} answered {_rate(lead)} requests per second"
    )
    can_show = certainty.can_show(rows)
    compared = [_compared(row, base, baseline, can_show) for row in _telling(others)]
    yield f"{opening}; {_join(compared)}." if compared else f"{opening}."
    yield from _cost(lead, others)


def _beside(
    condition: Condition, rows: Sequence[Row], target: str, references: Sequence[str], baseline: str
) -> Iterator[str]:
    row = _named(rows, target)
    if row is None:
        return
    others = [other for name in references if (other := _named(rows, name)) and other is not row]
    ratios = [
        _times(row, other) for other in others if "generator-bound" not in _verdicts(row, other)
    ]
    said = f": {_join(ratios)}" if ratios else ""
    yield f"With {condition.words()}, {_rate(row)} requests per second{said}."


def _verdicts(*rows: Row) -> set[str]:
    return {str(row["verdict"]) for row in rows}


def _times(row: Row, other: Row) -> str:
    ratio = row["requests_per_second"] / other["requests_per_second"]
    if ratio > 2:
        return f"{count(ratio)} times {other['target']}"
    return f"{percent(ratio)} of {other['target']}"


def _telling(rows: Sequence[Row]) -> list[Row]:
    """Choose whom to name: all of a few, else the fastest and slowest of each identity."""
    if len(rows) <= 5:
        return list(rows)
    chosen: list[Row] = []
    for identity in IDENTITIES:
        same = [row for row in rows if row["runs_as"] == identity]
        chosen += same[:1] + same[1:][-1:]
    return sorted(chosen, key=lambda row: -float(row["requests_per_second"]))


def _compared(row: Row, base: Row | None, baseline: str, can_show: bool) -> str:
    text = f"{row['target']} {_rate(row)}"
    if base is None or not _comparable(row, base, baseline):
        return text
    ratio = f"ratio_to_{baseline}"
    interval = percent_range(row[f"{ratio}_low"], row[f"{ratio}_high"])
    within = f", interval {interval}" if interval else ""
    shown = certainty.difference(row, can_show=can_show)
    return f"{text} ({percent(row[ratio])} of {baseline}{within}{shown})"


def _cost(lead: Row, others: Sequence[Row]) -> Iterator[str]:
    known = [row for row in (lead, *others) if math.isfinite(row["server_cpu_us_per_request"])]
    if not known:
        return
    low, high = (f(known, key=_cpu) for f in (min, max))
    if low is high:
        yield f"There a request cost {duration(_cpu(low))} of server CPU ({low['target']})."
        return
    yield (
        f"There a request cost from {duration(_cpu(low))} of server CPU ({low['target']}) "
        f"to {duration(_cpu(high))} ({high['target']})."
    )


def identities(measured: pd.DataFrame) -> Iterator[str]:
    """Yield the sentence that says whose identity ran the scripts."""
    parts = []
    for identity, who in IDENTITIES.items():
        names = list(dict.fromkeys(measured[measured["runs_as"] == identity]["target"]))
        if names:
            parts.append(f"{who} in {_join(names)}")
    if parts:
        yield f"Every response counted proved whose identity ran the script: {'; '.join(parts)}."


def _unmeasured(summary: pd.DataFrame) -> Iterator[str]:
    void = summary[summary["trials"] == 0]
    for (target, verdict), _ in void.groupby(["target", "verdict"], sort=False):
        yield f"{target} could not be measured ({verdict})."


def _named(rows: Sequence[Row], name: str) -> Row | None:
    return next((row for row in rows if row["target"] == name), None)


def _comparable(row: Row, base: Row, baseline: str) -> bool:
    """Tell whether the ratio says something of the targets, and not of the generator."""
    bound = "generator-bound" in (row["verdict"], base["verdict"])
    return not bound and math.isfinite(row[f"ratio_to_{baseline}"])


def _rate(row: Row) -> str:
    at_least = "at least " if row["verdict"] == "generator-bound" else ""
    return at_least + count(row["requests_per_second"])


def _cpu(row: Row) -> float:
    return float(row["server_cpu_us_per_request"])


def _join(parts: Sequence[str]) -> str:
    if len(parts) < 2:
        return "".join(parts)
    return f"{', '.join(parts[:-1])} and {parts[-1]}"
