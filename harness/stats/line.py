"""A line through memory against tenants: what each further tenant costs, with its interval. Pure.

Strategy. Ordinary least squares: the largest numbers of tenants decide the slope, which is where
the cost of one is seen above all else. The interval is Student's t with two degrees of freedom less
than points, as for any line; with two points there is none.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from harness.stats.intervals import CONFIDENCE, Interval, t_reach


@dataclass(frozen=True)
class Line:
    """`start` plus `slope` for each tenant."""

    start: float
    slope: Interval

    def at(self, tenants: float) -> float:
        """Return the value with so many tenants."""
        return self.start + self.slope.mid * tenants

    def tenants_in(self, room: float) -> float:
        """Return how many tenants fit into a room; infinite where they cost nothing to be seen.

        That is where the slope's interval, if it has one, holds zero.
        """
        slope = self.slope
        if slope.mid <= 0 or slope.low <= 0:
            return math.inf
        return max(0.0, (room - self.start) / slope.mid)


def fit(points: Sequence[tuple[float, float]]) -> Line:
    """Fit a line to points of different tenants, two at least. Raises ValueError for fewer."""
    x, y = (np.array(column, dtype=float) for column in zip(*points, strict=True))
    spread = float(((x - x.mean()) ** 2).sum())
    if len(x) < 2 or not spread:
        raise ValueError("a line takes points of two numbers of tenants")
    slope = float(((x - x.mean()) * (y - y.mean())).sum() / spread)
    start = float(y.mean() - slope * x.mean())
    freedom = len(x) - 2
    if not freedom:
        return Line(start, Interval(math.nan, slope, math.nan))
    residual = float(((y - start - slope * x) ** 2).sum())
    reach = t_reach(CONFIDENCE, freedom) * math.sqrt(residual / freedom / spread)
    return Line(start, Interval(slope - reach, slope, slope + reach))
