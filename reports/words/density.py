"""What more tenants cost, in sentences and tables. Pure."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import pandas as pd
from rich.table import Table

from harness.results.analysis.tenant_cost import TenantCost, tenant_costs
from harness.results.format import NONE

HEADING = "How many tenants fit"
COLD_HEADING = "Cold starts"
COLUMNS = (
    "target",
    "tenants",
    "active",
    "popularity",
    "req/s",
    "p50 ms",
    "p99 ms",
    "MiB",
    "MiB a tenant",
    "MiB an active tenant",
    "processes",
    "start s",
    "cold",
    "note",
)


_IN_TERMINAL = (
    *("target", "tenants", "active", "popularity"),
    *("req/s", "cold", "p99 ms", "MiB", "processes", "start s"),
)
_FIRST_LEFT_OUT = ("start s", "active", "processes", "cold")


def each(table: pd.DataFrame) -> Iterator[Any]:
    """Yield the rows, with columns as attributes, of whichever type."""
    yield from table.itertuples()


def sentences(density: pd.DataFrame, starts: pd.DataFrame) -> list[str]:
    """Return one sentence a target on what fits, and one on its cold starts."""
    return [*map(_fits, tenant_costs(density)), *_cold(starts)]


def _fits(cost: TenantCost) -> str:
    p99 = _ceiling(cost.p99_ms)
    many = f"{cost.tenants:,} {_plural(cost.tenants)}{_how_active(cost)} {_fit(cost.tenants)}"
    told = f"`{cost.target}`: {many} in {_size(cost.memory_mib)} at p99 below {p99:g} ms"
    told += _how_cold(cost)
    if cost.growth is not None:
        before, last = cost.growth
        return (
            f"{told}; an active tenant costs {last.each_mib:.2g} MiB among {last.tenants:,} "
            f"tenants and {before.each_mib:.2g} MiB among {before.tenants:,}, so how many fit "
            "cannot be extrapolated."
        )
    if cost.line is None:
        return f"{told}."
    slope = cost.line.slope
    if math.isnan(slope.low):
        return (
            f"{told}; more numbers of tenants are needed to tell what one more active tenant costs."
        )
    if slope.low <= 0:
        return f"{told}; the cost of one more active tenant is too small to measure."
    told += (
        f"; one more active tenant costs {slope.mid:.2g} MiB ({slope.low:.2g} to {slope.high:.2g})"
    )
    if cost.most_tenants > cost.furthest:
        told += f", so memory sets no limit below {cost.furthest:,}"
    elif math.isfinite(cost.most_tenants):
        told += f", so about {_rounded(cost.most_tenants):,} fit on this host"
    return f"{told}."


def _how_active(cost: TenantCost) -> str:
    """Say how many tenants were asked for, where that leaves out more than a tenth."""
    return "" if cost.active >= 0.9 * cost.tenants else f", {cost.active:,} of them active,"


def _how_cold(cost: TenantCost) -> str:
    """Say that a load mostly measured starts of workers, where it did."""
    if cost.cold is None or cost.cold < 0.1:
        return ""
    return f", where {cost.cold:.0%} of the requests started a worker"


def _cold(starts: pd.DataFrame) -> Iterator[str]:
    for target, rows in starts.groupby("target", sort=False):
        known = rows[rows["p50_ms"].notna()]
        parts = [
            f"{row.p50_ms:.3g} ms (p99 {row.p99_ms:.3g}) when {row.state}, page cache "
            f"{row.page_cache}"
            for row in each(known)
        ]
        if parts:
            yield f"`{target}` first answers after {'; '.join(parts)}."


def terminal_table(density: pd.DataFrame, width: int) -> Table:
    """Return the table that the command ends with, of those that have numbers.

    Where it would not fit into `width` columns, figures are left out that the report has.
    """
    rows = rows_of(density[density["requests_per_second"].notna()])
    names = _that_fit(rows, width)
    table = Table(box=None, pad_edge=False)
    for name in names:
        left = name in ("target", "popularity")
        table.add_column(name, justify="left" if left else "right", no_wrap=not left)
    for cells in rows:
        table.add_row(*(cells[COLUMNS.index(name)] for name in names))
    return table


def _that_fit(rows: list[tuple[str, ...]], width: int) -> list[str]:
    """Return the columns of the terminal's table, without as many as it takes to fit."""
    widths = {
        name: max(len(text) for text in (name, *(row[COLUMNS.index(name)] for row in rows))) + 2
        for name in _IN_TERMINAL
    }
    for name in _FIRST_LEFT_OUT:
        if sum(widths.values()) - 2 > width:
            del widths[name]
    return list(widths)


def left_out(density: pd.DataFrame, starts: pd.DataFrame) -> list[str]:
    """Return what was not measured, or not in full, and why."""
    told = [
        f"{row.target} with {row.tenants:,} {_plural(row.tenants)}, {row.popularity}: {row.note}"
        for row in each(density[density["note"] != ""])
    ]
    return told + [
        f"cold start of {row.target}, {row.state}, page cache {row.page_cache}: {row.note}"
        for row in each(starts[starts["note"] != ""])
    ]


def rows_of(density: pd.DataFrame) -> list[tuple[str, ...]]:
    """Return the table's rows as texts, in the order of `COLUMNS`."""
    return [
        (
            str(row.target),
            f"{row.tenants:,}",
            _number(row.active_tenants, "{:,.0f}"),
            str(row.popularity),
            _number(row.requests_per_second, "{:,.0f}"),
            _number(row.p50_ms, "{:.3g}"),
            _number(row.p99_ms, "{:.3g}"),
            _number(row.memory_mib, "{:,.0f}"),
            _number(_share(row.memory_mib, row.tenants), "{:.3g}"),
            _number(_share(row.memory_mib, row.active_tenants), "{:.3g}"),
            _number(row.processes, "{:,.0f}"),
            _number(row.startup_s, "{:.2f}"),
            _number(_cold_share(row), "{:.1%}"),
            str(row.note or ""),
        )
        for row in each(density)
    ]


def cold_table(starts: pd.DataFrame) -> pd.DataFrame:
    """Return the table of cold starts, as texts."""
    return pd.DataFrame(
        [
            (
                str(row.target),
                str(row.state),
                str(row.page_cache),
                str(row.requests),
                _number(row.p50_ms, "{:.3g}"),
                _range(row.low_ms, row.high_ms),
                _number(row.p99_ms, "{:.3g}"),
                str(row.note or ""),
            )
            for row in each(starts)
        ],
        columns=[
            *("target", "tenant was", "page cache", "answers"),
            *("p50 ms", "95%", "p99 ms", "note"),
        ],
    )


def _range(low: float, high: float) -> str:
    return NONE if pd.isna(low) or pd.isna(high) else f"{low:.3g} to {high:.3g}"


def _share(whole: float, parts: float) -> float:
    return math.nan if pd.isna(whole) or pd.isna(parts) or not parts else whole / parts


def _cold_share(row: Any) -> float:
    """Return how many of the requests found no compiled script, or no worker of their tenant."""
    if not pd.isna(row.code_cache_hit_rate):
        return 1.0 - float(row.code_cache_hit_rate)
    return _share(row.worker_starts, row.requests)


def _number(value: float, pattern: str) -> str:
    return NONE if pd.isna(value) else pattern.format(value)


def _plural(number: int) -> str:
    return "tenant" if number == 1 else "tenants"


def _fit(number: int) -> str:
    return "fits" if number == 1 else "fit"


def _size(mib: float) -> str:
    return f"{mib / 1024:.2g} GiB" if mib >= 1024 else f"{mib:.0f} MiB"


def _ceiling(ms: float) -> float:
    """Return the next higher number of two digits."""
    if ms <= 0:
        return 1.0
    unit = 10.0 ** (math.floor(math.log10(ms)) - 1)
    return round((math.floor(ms / unit) + 1) * unit, 9)


def _rounded(number: float) -> int:
    """Return a number with two digits that say something."""
    unit = 10 ** max(0, math.floor(math.log10(max(number, 1))) - 1)
    return int(number // unit * unit)
