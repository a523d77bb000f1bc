"""What a further tenant costs, and how many fit: from density.parquet. Pure.

A line is fitted to memory against *active* tenants, those that were asked for at least once
(`harness.stats.line`): a tenant that sleeps costs next to nothing in any mode. How many fit
supposes that all are active at once.

No line is drawn on where an active tenant costs more the more tenants there are, as with php-fpm,
each of whose workers has memory for every pool. Loads that evicted workers say nothing of the line:
the memory is that of the bound.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import pandas as pd

from harness.stats.line import Line, fit

_TRUSTED: Final = 100
"""How many times further than it was measured a line is drawn on."""

_MANY_ACTIVE: Final = 50
"""From how many active tenants on the memory of each is known well enough to be compared."""
_GROWS: Final = 1.25
"""How many times as much an active tenant takes where it is said to take more."""


@dataclass(frozen=True)
class Step:
    """The memory that an active tenant took, in MiB, with so many tenants."""

    tenants: int
    each_mib: float


@dataclass(frozen=True)
class TenantCost:
    """The largest number of `tenants` that a target was measured with, and what they took.

    `active` is how many of them were asked for at all; `cold` the largest share of the requests
    that started a worker, None where no worker is a tenant's or the number is unknown.
    `p99_ms` is the highest of all popularities. `most_tenants` is how many fit into the memory that
    this host had free; infinite where they cost nothing to be seen, and where an active tenant
    takes more the more there are, as the two steps of `growth` show.
    """

    target: str
    tenants: int
    active: int
    cold: float | None
    memory_mib: float
    p99_ms: float
    line: Line | None
    most_tenants: float
    growth: tuple[Step, Step] | None = None

    @property
    def furthest(self) -> int:
        """The number of tenants up to which the fitted line is trusted."""
        return _TRUSTED * self.tenants


def tenant_costs(density: pd.DataFrame) -> Iterator[TenantCost]:
    """Yield what is known of each target that was measured at all, in the table's order."""
    good = density[density["p99_ms"].notna() & density["memory_mib"].notna()]
    for target, rows in good.groupby("target", sort=False):
        tenants = int(rows["tenants"].max())
        at = rows[rows["tenants"] == tenants]
        line = _line(rows)
        growth = _growth(rows) if line is not None and line.slope.mid > 0 else None
        yield TenantCost(
            target=str(target),
            tenants=tenants,
            active=int(at["active_tenants"].fillna(tenants).max()),
            cold=_cold(at),
            memory_mib=float(at["memory_mib"].max()),
            p99_ms=float(at["p99_ms"].max()),
            line=line,
            most_tenants=math.inf if growth else _most(line, float(rows["available_mib"].median())),
            growth=growth,
        )


def _cold(rows: pd.DataFrame) -> float | None:
    """Return the largest share of the requests that started a worker."""
    known = rows[rows["worker_starts"].notna() & (rows["requests"] > 0)]
    if known.empty:
        return None
    return min(1.0, float((known["worker_starts"] / known["requests"]).max()))


def _most(line: Line | None, room: float) -> float:
    return math.inf if line is None or math.isnan(room) else line.tenants_in(room)


def _growth(rows: pd.DataFrame) -> tuple[Step, Step] | None:
    """Return the first and the last number of tenants, if an active one took more with the last."""
    steps = list(_steps(rows))
    if len(steps) < 2 or steps[-1].each_mib < _GROWS * steps[0].each_mib:
        return None
    return steps[0], steps[-1]


def _steps(rows: pd.DataFrame) -> Iterator[Step]:
    """Yield what an active tenant took beyond the idle server, by the number of tenants."""
    known = rows[(rows["active_tenants"] >= _MANY_ACTIVE) & rows["idle_memory_mib"].notna()]
    for tenants, some in known.groupby("tenants"):
        taken = (some["memory_mib"] - some["idle_memory_mib"]) / some["active_tenants"]
        if taken.mean() > 0:
            yield Step(int(str(tenants)), float(taken.mean()))


def _line(rows: pd.DataFrame) -> Line | None:
    rows = rows[~(rows["evictions"] > 0)]
    pairs = zip(rows["active_tenants"], rows["memory_mib"], strict=True)
    points = [(float(tenants), float(mib)) for tenants, mib in pairs if not math.isnan(tenants)]
    try:
        return fit(points)
    except ValueError:
        return None
