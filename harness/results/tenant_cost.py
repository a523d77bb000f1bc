"""What a further tenant costs, and how many fit: from density.parquet. Pure.

The memory of a target is taken with uniform popularity if that was measured, where most tenants are
active, and fitted by a line (`harness.stats.line`).
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import pandas as pd

from harness.stats.line import Line, fit

UNIFORM = "uniform"


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
    uniform = rows[rows["popularity"] == UNIFORM]
    used = rows if uniform.empty else uniform
    points = [
        (float(n), float(m)) for n, m in zip(used["tenants"], used["memory_mib"], strict=True)
    ]
    try:
        return fit(points)
    except ValueError:
        return None
