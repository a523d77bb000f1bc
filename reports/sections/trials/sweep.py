"""Latency against offered load, where loads were swept."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Self

from reports.figures import curves
from reports.section import Results, Section, Shown


@dataclass(frozen=True, kw_only=True)
class Sweep(Section):
    """The figure of the sweeps."""

    @classmethod
    def read(cls, results: Results) -> Self | None:
        """Gather it; None where nothing was swept."""
        if not results.swept:
            return None
        shown = Shown(
            "sweep",
            "Latency against load",
            "Requests are sent on schedule, whether others were answered or not, and latency "
            "counts from the scheduled times. The thick line is p99, the thin one p50; a line "
            "without p99 had too few requests for it. Each target is loaded up to 95% of its own "
            "knee.",
            partial(curves.sweep, results.swept),
        )
        return cls(figures=[shown])
