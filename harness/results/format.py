"""Numbers and names for human readers. Pure."""

from __future__ import annotations

import math
from collections.abc import Hashable, Iterable, Mapping, Sequence
from typing import Any

import pandas as pd

from harness.results.overload import is_lower_bound, overloaded
from harness.stats.intervals import ENOUGH_TO_RESAMPLE

NONE = "\N{EN DASH}"


def count(value: float) -> str:
    """Three significant digits with thousands set apart: 14,200, 105, 7.4, 0.002."""
    if not math.isfinite(value):
        return NONE
    if value == 0:
        return "0"
    digits = 2 - math.floor(math.log10(abs(value)))
    rounded = round(value, digits)
    text = f"{rounded:,.{max(0, digits)}f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def percent(share: float) -> str:
    """Return a share as a percentage with two or three digits: 7.4%, 63%, 104%."""
    if not math.isfinite(share):
        return NONE
    value = 100 * share
    if value == 0:
        return "0%"
    if 0 < value < 0.01:
        return "<0.01%"
    return f"{value:.2f}%" if value < 1 else f"{value:.1f}%" if value < 10 else f"{value:,.0f}%"


def percent_range(low: float, high: float) -> str:
    """Return an interval of ratios: 7.0-7.9%, 0-11%; empty where there is none."""
    if math.isfinite(high) and 0 < 100 * low < high:  # its ends are far-fetched
        return ">±900%"
    return share_range(low, high)


def share_range(low: float, high: float) -> str:
    """Return an interval of a share of counted cases: 0.1-18%; empty where there is none."""
    if not (math.isfinite(low) and math.isfinite(high)):
        return ""
    if low == 0:
        return f"0\N{EN DASH}{percent(high)}"
    return f"{percent(low).removesuffix('%')}\N{EN DASH}{percent(high)}"


def plus_minus(low: float, high: float) -> str:
    """Return half the width of an interval as a share of its middle: ±3%; empty if none."""
    if not (math.isfinite(low) and math.isfinite(high)):
        return ""
    width = math.sqrt(high / low) - 1
    if width > 1:  # it says no more than that it is useless
        return ">±100%"
    return f"±{100 * width:.1f}%" if width < 0.0995 else f"±{100 * width:.0f}%"


def duration(microseconds: float) -> str:
    """Return a time in the unit that suits it: 58 µs, 9.1 ms, 1.2 s."""
    for limit, divisor, unit in ((1e3, 1, "µs"), (1e6, 1e3, "ms"), (math.inf, 1e6, "s")):
        if microseconds < limit:
            return f"{count(microseconds / divisor)} {unit}"
    return NONE


def span(seconds: float) -> str:
    """Return a duration in words: 45 s, 6 min, 1.5 h."""
    for limit, divisor, unit in ((90, 1, "s"), (5400, 60, "min"), (math.inf, 3600, "h")):
        if seconds < limit:
            value = seconds / divisor
            return f"{value:.0f} {unit}" if unit != "h" else f"{value:.1f} {unit}"
    return NONE


def probability(value: float) -> str:
    """Return a p-value: 0.0312, 0.25, 1."""
    return f"{value:.2g}" if math.isfinite(value) else NONE


def milliseconds(value: float) -> str:
    """As `duration`, from milliseconds."""
    return duration(1000 * value)


def join(parts: Sequence[str]) -> str:
    """Return parts of a sentence as one: a, b and c."""
    if len(parts) < 2:
        return "".join(parts)
    return f"{', '.join(parts[:-1])} and {parts[-1]}"


def first_few(names: Iterable[str], most: int) -> str:
    """Return the different names in their order, of many the first: a, b and 7 more."""
    different = list(dict.fromkeys(names))
    shown, more = ", ".join(different[:most]), len(different) - most
    return f"{shown} and {more} more" if more > 0 else shown


def load_words(load: str) -> str:
    """Return a load in words: "closed:8" is "8 users", "open:500" is "500 requests/s".

    A log has its speed: "open:log:60x:1a2b3c4d" is "access log at 60 times its speed".
    """
    kind, _, number = load.partition(":")
    if kind == "open" and number.endswith("%"):
        return f"{number} of each target's own knee offered"
    if kind == "open" and number.startswith("log:"):  # see `conditions.is_log`
        return f"access log at {number.split(':')[1].removesuffix('x')} times its speed"
    number, _, schedule = number.partition(":")
    if kind == "closed":
        return "1 user" if number == "1" else f"{number} users"
    if kind != "open":
        return load
    return f"{number} requests/s offered" + (" evenly" if schedule == "uniform" else "")


def connection_words(connection: str) -> str:
    """Return how connections are handled, in words."""
    return {"close": "one connection per request", "keep-alive": "connections kept alive"}.get(
        connection, connection
    )


def readable(rows: pd.DataFrame, baseline: str) -> pd.DataFrame:
    """Return rows of a summary as texts, under headings with units; one row for each.

    The rows are those of one condition. The last column is the verdict, the first two are names,
    all between are numbers. Rows of an open load show how punctual it was, and no interval of
    its rate, which was given. There "92 of 500" is the rate of an overloaded target, and a quantile
    with "≥" may be longer.
    """
    given = _rate_is_given(rows)
    enough = rows["trials"].max() >= ENOUGH_TO_RESAMPLE
    table = pd.DataFrame(
        [
            {
                "target": row["target"],
                "runs as": row["runs_as"],
                "req/s": _rate(row),
                **({} if given else _own_and_beside(row, baseline)),
                "p50": _quantile(row, "p50_ms"),
                "p90": _quantile(row, "p90_ms"),
                "p99": _quantile(row, "p99_ms"),
                "p99 ±": plus_minus(row["p99_ms_low"], row["p99_ms_high"]) or NONE,
                "p99.9": _quantile(row, "p999_ms"),
                **(_punctuality(row) if given else {}),
                "CPU/req": duration(row["server_cpu_us_per_request"]),
                "per core": count(row["capacity_per_core"]),
                "memory": _with_unit(row["memory_mib"], "MiB"),
                "of ceiling": percent(row.get("ceiling_share", math.nan)),
                "forks/req": count(row["forks_per_request"]),
                "errors": f"{row['errors']:,}",
                "verdict": row["verdict"],
            }
            for row in rows.to_dict("records")
        ]
    )
    return table if enough else table.drop(columns="bootstrap", errors="ignore")


def _rate(row: Mapping[Hashable, Any]) -> str:
    rate, offered = row["requests_per_second"], row.get("offered_per_second", math.nan)
    return f"{count(rate)} of {count(offered)}" if overloaded(rate, offered) else count(rate)


def _quantile(row: Mapping[Hashable, Any], name: str) -> str:
    text = milliseconds(row[name])
    return f"\N{GREATER-THAN OR EQUAL TO} {text}" if _bounded(row, name) else text


def _bounded(row: Mapping[Hashable, Any], name: str) -> bool:
    return is_lower_bound(row[name], row.get("dropped", math.nan))


def _own_and_beside(row: Mapping[Hashable, Any], baseline: str) -> dict[str, str]:
    """Return a rate's ratio to the baseline's and how sure it is; without a baseline, the rate."""
    vs = f"ratio_to_{baseline}"
    interval = percent_range(row[f"{vs}_low"], row[f"{vs}_high"])
    difference = row["difference"]
    resampled = percent_range(*(row[f"{vs}_bootstrap_{end}"] for end in ("low", "high")))
    return {
        f"vs {baseline}": percent(row[vs]),
        "±": _sureness(row, vs, is_baseline=row["target"] == baseline),
        "interval": NONE if row["target"] == baseline else interval or NONE,
        "bootstrap": resampled or NONE,
        "difference": difference or NONE,
        "p": probability(row["p_adjusted"]),
    }


def _sureness(row: Mapping[Hashable, Any], vs: str, *, is_baseline: bool) -> str:
    if is_baseline:
        return NONE
    known = vs if math.isfinite(row[vs]) else "requests_per_second"
    return plus_minus(row[f"{known}_low"], row[f"{known}_high"]) or NONE


def _rate_is_given(rows: pd.DataFrame) -> bool:
    return "offered_per_second" in rows and bool(rows["offered_per_second"].notna().any())


def _punctuality(row: Mapping[Hashable, Any]) -> dict[str, str]:
    counts = {name: row[name] for name in ("late", "dropped")}
    return {
        name: f"{value:,.0f}" if math.isfinite(value) else NONE for name, value in counts.items()
    }


def table_markdown(table: pd.DataFrame) -> str:
    """Return a table of texts as a GitHub table: first two and last column left, others right."""
    columns = list(table.columns)
    marks = [
        ":--" if place < 2 or place == len(columns) - 1 else "--:" for place in range(len(columns))
    ]
    lines = [columns, marks, *table.to_numpy().tolist()]
    return "\n".join("| " + " | ".join(map(_cell, line)) + " |" for line in lines) + "\n"


def _with_unit(value: float, unit: str) -> str:
    return f"{count(value)} {unit}" if math.isfinite(value) else NONE


def _cell(text: object) -> str:
    return str(text).replace("|", "\\|").replace("\n", " ")
