"""What a report says of the load: the generator's ceiling, another generator, sweeps. Pure."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from itertools import chain, repeat
from typing import Any

import pandas as pd

from harness.results.analysis.load_curve import Place, Swept
from harness.results.conditions import by_condition
from harness.results.format import connection_words, count, join, load_words, milliseconds, percent
from reports.scope import Scope

P99_LIMIT_MS = 10.0
"""A target holds a load while its p99 is below this."""

AGREEMENT = 0.10
"""Two generators agree when their rates differ by no more than this."""

Row = Mapping[Any, Any]  # of a table; pandas types the names as Hashable


def ceilings(summary: pd.DataFrame) -> list[str]:
    """Return the generator's ceilings, and which targets' rates it limited."""
    scope = Scope.of(summary)
    measured = [
        (scope.after(condition), rows[rows["ceiling_per_second"] > 0])
        for condition, rows in by_condition(summary)
    ]
    measured = [(where, rows) for where, rows in measured if not rows.empty]
    if not measured:
        return []
    units = chain([" requests per second"], repeat(""))
    ceilings = [
        f"{count(float(rows['ceiling_per_second'].max()))}{unit}{where}"
        for unit, (where, rows) in zip(units, measured, strict=False)
    ]
    return [
        "The load generator's ceiling, its rate against a responder that does nothing, was "
        f"{join(ceilings)}.",
        *(sentence for where, rows in measured for sentence in _bound(where, rows)),
    ]


def _bound(where: str, rows: pd.DataFrame) -> Iterator[str]:
    for row in rows[rows["verdict"] == "generator-bound"].to_dict("records"):
        by_cpu = row["capacity_per_core"]
        of_core = f"; its CPU time would allow {count(by_cpu)}" if math.isfinite(by_cpu) else ""
        of_ceiling = percent(row["ceiling_share"])
        rate = count(row["requests_per_second"])
        yield (
            f"{row['target']} reached {of_ceiling} of the ceiling{where}, so {rate} is a lower "
            f"bound{of_core}."
        )


def cross_check(rows: pd.DataFrame) -> list[str]:
    """Return what the comparison with another generator amounts to, in a sentence or two."""
    known = rows[rows["rate_difference"].notna()]
    null = known["target"].astype(str).str.startswith("null")
    targets: list[Row] = known[~null].to_dict("records")  # type: ignore[assignment]
    nulls: list[Row] = known[null].to_dict("records")  # type: ignore[assignment]
    return [*_agreement(targets), *map(_headroom, nulls)]


def _agreement(rows: Sequence[Row]) -> Iterator[str]:
    if not rows:
        return
    close = [row for row in rows if abs(row["rate_difference"]) <= AGREEMENT]
    yield (
        f"{rows[0]['tool']} loaded the same servers in the same way: its rate was within "
        f"{percent(AGREEMENT)} of isobench's in {len(close)} of {len(rows)} comparisons."
    )
    widest = max(rows, key=lambda row: abs(float(row["rate_difference"])))
    if widest not in close:
        yield (
            f"They differed most at {widest['target']} ({_where(widest)}): {_rates(widest)} "
            "requests per second."
        )


def _headroom(row: Row) -> str:
    return (
        f"Against the responder that does nothing ({_where(row)}), {_rates(row)} requests per "
        "second: that difference is the generators' own."
    )


def _where(row: Row) -> str:
    return f"{row['workload']}, {load_words(row['load'])}, {connection_words(row['connection'])}"


def _rates(row: Row) -> str:
    own, other = count(row["own_per_second"]), count(row["tool_per_second"])
    return f"isobench got {own}, {row['tool']} {other}"


def cross_check_table(rows: pd.DataFrame) -> pd.DataFrame:
    """Return the comparison as texts; the last column is the remark, the first two are names."""
    return pd.DataFrame(
        [
            {
                "target": row["target"],
                "connection": row["connection"],
                "workload": row["workload"],
                "load": row["load"],
                "req/s": count(_number(row["own_per_second"])),
                f"req/s, {row['tool']}": count(_number(row["tool_per_second"])),
                "difference": _signed(_number(row["rate_difference"])),
                "p50": milliseconds(_number(row["own_p50_ms"])),
                f"p50, {row['tool']}": milliseconds(_number(row["tool_p50_ms"])),
                "p99": milliseconds(_number(row["own_p99_ms"])),
                f"p99, {row['tool']}": milliseconds(_number(row["tool_p99_ms"])),
                "remark": "" if pd.isna(row["note"]) else row["note"],
            }
            for row in rows.to_dict("records")
        ]
    )


def _number(value: float | None) -> float:
    return math.nan if value is None else float(value)


def _signed(share: float) -> str:
    return f"{100 * share:+.0f}%" if math.isfinite(share) else count(share)


def sweeps(found: Mapping[Place, Sequence[Swept]]) -> list[str]:
    """Return up to which load each target keeps p99 below 10 ms, and its knee, for each place."""
    return [
        sentence
        for place, of_place in found.items()
        for sentence in (_sweep(place, of_place), *_knees(of_place))
    ]


def _knees(swept: Sequence[Swept]) -> Iterator[str]:
    """Yield the most that each target can do, of which the loads were shares."""
    known = [
        f"{one.target} {'at least ' if one.generator_bound else ''}{count(one.knee)} "
        f"({load_words(f'closed:{one.users}')})"
        for one in sorted(swept, key=lambda one: -one.knee)
        if math.isfinite(one.knee)
    ]
    if known:
        yield (
            "The highest rate under a closed load (the knee, of which these loads are 20, 50, 80 "
            f"and 95%) was {join(known)} requests per second."
        )


def _sweep(place: Place, swept: Sequence[Swept]) -> str:
    workload, connection = place
    # A target that held more than another bore a higher load; those that held none come last.
    held = {one.target: one.holds_up_to(P99_LIMIT_MS) for one in swept}
    parts = [
        f"{one.target} up to {count(point.offered)}"
        + (" or more" if one.generator_bound and point is one.points[-1] else "")
        for one in sorted(swept, key=lambda one: -_offered(held[one.target]))
        if (point := held[one.target])
    ]
    none = [one.target for one in swept if one.telling and held[one.target] is None]
    unknown = [one.target for one in swept if not one.telling]
    said = f"p99 stays below {milliseconds(P99_LIMIT_MS)} with {join(parts)} requests per second"
    sentences = [
        said if parts else "",
        f"at none of its loads with {join(none)}" if none else "",
        f"too few requests to tell with {join(unknown)}" if unknown else "",
    ]
    where = f"{workload}, {connection_words(connection)}"
    return f"Under open load ({where}): {'; '.join(filter(None, sentences))}."


def _offered(point: Any) -> float:
    return point.offered if point else 0.0


def title(found: Mapping[Place, Sequence[Swept]]) -> str:
    """Return the one line to remember of a run that was a sweep and nothing else."""
    for place, swept in found.items():
        held = [(one.holds_up_to(P99_LIMIT_MS), one.target) for one in swept]
        best, target = max(held, key=lambda pair: _offered(pair[0]))
        if best is not None:
            return (
                f"Highest load with p99 below {milliseconds(P99_LIMIT_MS)}: {target}, "
                f"{count(best.offered)} requests per second ({connection_words(place[1])})"
            )
    return "Latency against load"
