"""What a further tenant costs, and how many fit: from density.parquet. Pure.

A line is fitted to memory against *active* tenants, those that were asked for at least once
(`harness.stats.line`): a tenant that sleeps costs next to nothing in any mode. How many fit
supposes that all are active at once.
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


@dataclass(frozen=True)
class TenantCost:
    """The largest number of `tenants` that a target was measured with, and what they took.

    `p99_ms` is the highest of all popularities. `most_tenants` is how many fit into the memory that
    this host had free; infinite where they cost nothing to be seen.
    """

    target: str
    tenants: int
    memory_mib: float
    p99_ms: float
    line: Line | None
    most_tenants: float

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
        room = float(rows["available_mib"].median())
        yield TenantCost(
            str(target),
            tenants,
            float(at["memory_mib"].max()),
            float(at["p99_ms"].max()),
            line,
            math.inf if line is None or math.isnan(room) else line.tenants_in(room),
        )


def _line(rows: pd.DataFrame) -> Line | None:
    pairs = zip(rows["active_tenants"], rows["memory_mib"], strict=True)
    points = [(float(tenants), float(mib)) for tenants, mib in pairs if not math.isnan(tenants)]
    try:
        return fit(points)
    except ValueError:
        return None
