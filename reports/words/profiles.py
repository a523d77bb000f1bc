"""Where the time of a request goes: sentences and tables. Pure: tables in."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any, Final

import pandas as pd

from harness.results.format import NONE, count, duration, join, percent

HEADING: Final = "Where the time of a request goes"
LEGEND: Final = (
    "Medians of requests that one client sent to one worker, one at a time, each over a new "
    "connection; measured separately from everything else. The vertical line is the median time "
    "from connecting to the complete response; pale phases follow the response, and cost "
    "throughput. Bars are to scale within their panel."
)

_NAMED: Final = 4
_WORTH_NAMING: Final = 0.03
_WITHIN: Final = 0.05
_MOST_CALLS: Final = 6

Row = Mapping[Any, Any]


def sentences(phases: pd.DataFrame, found: pd.DataFrame) -> Iterator[str]:
    """Yield where each target's time goes, then what to know about how it was found out."""
    for row in found.to_dict("records"):
        yield _of_target(row, phases[phases["target"] == row["target"]])
    yield from _sums(found)
    yield from _missing(found)
    yield from _cost(found)


def _of_target(row: Row, phases: pd.DataFrame) -> str:
    in_request = phases[phases["part"] == "request"].sort_values("share", ascending=False)
    named = in_request[in_request["share"] >= _WORTH_NAMING].head(_NAMED)
    parts = [
        f"{one['phase']} {percent(one['share'])} ({duration(one['median_us'])})"
        for one in named.to_dict("records")
    ]
    said = f"`{row['target']}` took {duration(row['service_us'])} a request: {join(parts)}."
    afterwards = phases[phases["part"] == "afterwards"].sort_values("order")
    if afterwards.empty:
        return said
    spent = [
        f"{one['phase']} {duration(one['median_us'])}" for one in afterwards.to_dict("records")
    ]
    return f"{said} After the response: {join(spent)}."


def _sums(found: pd.DataFrame) -> Iterator[str]:
    off = found[(found["accounted"] - 1).abs() > _WITHIN]
    names = [f"`{row['target']}` ({percent(row['accounted'])})" for row in off.to_dict("records")]
    if names:
        yield f"The phases do not add up to the time of a request in {join(names)}."
    else:
        low, high = percent(found["accounted"].min()), percent(found["accounted"].max())
        of = low if low == high else f"{low} to {high}"
        yield f"In the median request of each target the phases come to {of} of its time."
    if lost := int(found["disordered"].sum()):
        yield f"{lost} requests passed a probe point too early and are not counted."


def _missing(found: pd.DataFrame) -> Iterator[str]:
    for (why, missing), rows in found.groupby(["no_kernel_view", "missing"]):
        if missing:
            names = join([f"`{name}`" for name in rows["target"]])
            yield (
                f"Kernel tracing was unavailable ({why or 'it recorded nothing'}), so in {names} "
                f"the phases that only the kernel sees ({missing}) are in the phase after them."
            )


def _cost(found: pd.DataFrame) -> Iterator[str]:
    for row in found[found["stamping_cost"].notna()].to_dict("records"):
        low, high = percent(row["stamping_cost_low"]), percent(row["stamping_cost_high"])
        yield (
            f"Recording timestamps costs `{row['target']}` {percent(row['stamping_cost'])} of its "
            f"requests per second (95% interval {low} to {high}); no other measurement does so."
        )


def durations(phases: pd.DataFrame, found: pd.DataFrame) -> pd.DataFrame:
    """Return the median of each phase of each target as text; phases in the order of a request."""
    targets = list(found["target"])
    keys = list(dict.fromkeys(zip(phases["part"], phases["phase"], strict=True)))
    longest = phases.groupby("target")["order"].transform("max")
    places = phases.assign(place=phases["order"] / longest)
    typical = places.groupby(["part", "phase"])["place"].median()
    keys.sort(key=lambda key: (key[0] != "request", typical[key]))
    medians = phases.set_index(["part", "phase", "target"])["median_us"]
    table = []
    for part, phase in keys:
        name = phase if part == "request" else f"{phase} (after the response)"
        cells = [medians.get((part, phase, target), math.nan) for target in targets]
        table.append([name, *(NONE if math.isnan(value) else duration(value) for value in cells)])
    total = ["until the response", *(duration(value) for value in found["service_us"])]
    return pd.DataFrame([*table, total], columns=["phase", *targets])


def counts(calls: pd.DataFrame, found: pd.DataFrame) -> pd.DataFrame:
    """Return what the kernel counted a request of each target, as text."""
    rows = []
    for row in found.to_dict("records"):
        own = calls[calls["target"] == row["target"]].sort_values("per_request", ascending=False)
        most = [
            f"{one['call']} {count(one['per_request'])}"
            for one in own.head(_MOST_CALLS).to_dict("records")
        ]
        rows.append(
            {
                "target": row["target"],
                "system calls": count(own["per_request"].sum()) if len(own) else NONE,
                "page faults": count(row["page_faults"]),
                "context switches": count(row["context_switches"]),
                "processes, threads": count(row["forks"]),
                "most frequent calls": ", ".join(most) or NONE,
            }
        )
    return pd.DataFrame(rows)
