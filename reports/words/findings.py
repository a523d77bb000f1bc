"""The findings in plain sentences. Pure: a summary in, sentences out."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import pandas as pd

from harness.results.conditions import BASELINE, Condition, by_condition
from harness.results.format import (
    count,
    duration,
    join,
    load_words,
    milliseconds,
    percent,
    percent_range,
)
from harness.results.overload import overloaded
from reports.scope import Scope
from reports.words import certainty

Row = Mapping[Any, Any]  # of a summary; pandas types the names as Hashable

IDENTITIES = {
    "server": "the server itself",
    "owner": "the owner of the site",
    "client": "the client",
}


def findings(summary: pd.DataFrame, baseline: str = BASELINE) -> list[str]:
    """Return what the summary says: speed, cost, identity, then what could not be measured.

    What all conditions have in common is left out: `Scope.common` says it.
    """
    measured = summary[summary["trials"] > 0]
    scope = Scope.of(summary)
    sentences = [
        _of_condition(condition, scope.within(condition), rows.to_dict("records"), baseline)
        for condition, rows in by_condition(measured)
    ]
    return [*sentences, *identities(measured), *_unmeasured(summary)]


def beside(
    summary: pd.DataFrame, target: str, references: Sequence[str], baseline: str = BASELINE
) -> list[str]:
    """Return a sentence for each condition that sets a target beside others in its blocks."""
    scope = Scope.of(summary)
    return [
        sentence
        for condition, rows in by_condition(summary[summary["trials"] > 0])
        for sentence in _beside(
            scope.within(condition), rows.to_dict("records"), target, references, baseline
        )
    ]


def title(summary: pd.DataFrame, baseline: str = BASELINE) -> str:
    """Return the one line that a reader should remember, of the first condition.

    Where owners' scripts can be set beside the baseline, `reports.words.answer` has a better one.
    """
    measured = summary[summary["trials"] > 0]
    if measured.empty:
        return "Nothing could be measured"
    condition, frame = next(by_condition(measured))
    rows = frame.to_dict("records")
    if condition.is_open:
        return _open_title(condition, rows, baseline)
    bound = rows[0]["verdict"] == "generator-bound"
    fastest = "" if len(rows) == 1 or bound else "Fastest: "
    return f"{fastest}{rows[0]['target']}, {rate(rows[0])} requests per second"


def _open_title(condition: Condition, rows: Sequence[Row], baseline: str) -> str:
    load = load_words(condition.load)
    keeping = [row for row in rows if not _overloaded(row)]
    if not keeping:
        return f"No target kept up with {load}"
    # No "fastest": which p99 is the shortest is not tested, and among equals it is chance.
    owner = next((row for row in keeping if row["runs_as"] == "owner"), None)
    chosen = [row for row in (owner, _named(keeping, baseline)) if row is not None]
    shown = [f"{row['target']} {_p99(row)}" for row in chosen or keeping[:1]]
    return f"p99 with {load}: {', '.join(shown)}"


def _of_condition(condition: Condition, within: str, rows: Sequence[Row], baseline: str) -> str:
    of_rates = _waiting(within, rows) if condition.is_open else _speed(within, rows, baseline)
    return " ".join([of_rates, *cost(rows)])


def _waiting(within: str, rows: Sequence[Row]) -> str:
    """Return what an open load shows: how long requests took, and who could not keep up."""
    keeping = [row for row in rows if not _overloaded(row)]
    sentences = []
    if keeping:
        lead, *others = _telling(keeping)
        the = "the" if within else "The"
        parts = [f"{_p99(lead)} with {lead['target']}"]
        parts += [f"{_p99(row)} with {row['target']}" for row in others]
        sentences.append(f"{within}{the} 99th percentile of response times was {join(parts)}.")
    if behind := [
        f"{row['target']} ({count(row['requests_per_second'])} of "
        f"{count(row['offered_per_second'])} requests per second)"
        for row in rows
        if _overloaded(row)
    ]:
        sentences.append(f"{'' if keeping else within}{join(behind)} could not keep up.")
    return " ".join(sentences)


def _speed(within: str, rows: Sequence[Row], baseline: str) -> str:
    base = _named(rows, baseline)
    others = [row for row in rows if row is not base]
    lead = base or rows[0]
    if base is None:
        others = list(rows[1:])
    opening = f"{within}{lead['target']} answered {rate(lead)} requests per second"
    can_show = certainty.can_show(rows)
    compared = [_compared(row, base, baseline, can_show) for row in _telling(others)]
    return f"{opening}; {join(compared)}." if compared else f"{opening}."


def _beside(
    within: str, rows: Sequence[Row], target: str, references: Sequence[str], baseline: str
) -> Iterator[str]:
    row = _named(rows, target)
    if row is None:
        return
    others = [other for name in references if (other := _named(rows, name)) and other is not row]
    if math.isfinite(row["offered_per_second"]):
        given = f"{count(row['requests_per_second'])} of {count(row['offered_per_second'])}"
        said = f"{given} requests per second" if _overloaded(row) else f"p99 {_p99(row)}"
        yield f"{within}{said}."
        return
    ratios = [
        _times(row, other) for other in others if "generator-bound" not in _verdicts(row, other)
    ]
    said = f": {join(ratios)}" if ratios else ""
    yield f"{within}{rate(row)} requests per second{said}."


def _verdicts(*rows: Row) -> set[str]:
    return {str(row["verdict"]) for row in rows}


def _times(row: Row, other: Row) -> str:
    ratio = row["requests_per_second"] / other["requests_per_second"]
    if ratio > 2:
        return f"{count(ratio)} times {other['target']}"
    return f"{percent(ratio)} of {other['target']}"


def _telling(rows: Sequence[Row]) -> list[Row]:
    """Choose whom to name, in order: all of a few, else each identity's best and worst."""
    if len(rows) <= 5:
        return list(rows)
    chosen: list[Row] = []
    for identity in IDENTITIES:
        same = [row for row in rows if row["runs_as"] == identity]
        chosen += same[:1] + same[1:][-1:]
    return [row for row in rows if any(row is one for one in chosen)]


def _compared(row: Row, base: Row | None, baseline: str, can_show: bool) -> str:
    text = f"{row['target']} {rate(row)}"
    if base is None or not _comparable(row, base, baseline):
        return text
    ratio = f"ratio_to_{baseline}"
    interval = percent_range(row[f"{ratio}_low"], row[f"{ratio}_high"])
    within = f", interval {interval}" if interval else ""
    shown = certainty.difference(row, can_show=can_show)
    return f"{text} ({percent(row[ratio])} of {baseline}{within}{shown})"


def cost(rows: Sequence[Row]) -> Iterator[str]:
    """Yield a sentence on the least and the most CPU time a request; nothing if not known."""
    known = [row for row in rows if math.isfinite(row["server_cpu_us_per_request"])]
    if not known:
        return
    low, high = (f(known, key=_cpu) for f in (min, max))
    if low is high:
        yield f"A request cost {duration(_cpu(low))} of server CPU time ({low['target']})."
        return
    yield (
        f"A request cost from {duration(_cpu(low))} of server CPU time ({low['target']}) "
        f"to {duration(_cpu(high))} ({high['target']})."
    )


def identities(measured: pd.DataFrame) -> Iterator[str]:
    """Yield the sentence that says whose identity ran the scripts."""
    parts = []
    for identity, who in IDENTITIES.items():
        names = list(dict.fromkeys(measured[measured["runs_as"] == identity]["target"]))
        if names:
            parts.append(f"{who} in {join(names)}")
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


def rate(row: Row) -> str:
    """Return requests per second as text; a lower bound where the generator was the limit."""
    at_least = "at least " if row["verdict"] == "generator-bound" else ""
    return at_least + count(row["requests_per_second"])


def _overloaded(row: Row) -> bool:
    return overloaded(row["requests_per_second"], row["offered_per_second"])


def _p99(row: Row) -> str:
    return milliseconds(row["p99_ms"])


def _cpu(row: Row) -> float:
    return float(row["server_cpu_us_per_request"])
