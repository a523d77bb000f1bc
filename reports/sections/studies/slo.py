"""The highest rate at which each target keeps a promise, and how many tenants a core serves."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import ClassVar, Self

import pandas as pd

from harness.results.analysis.slo import kept
from reports.figures.slo import rates
from reports.section import Results, Section, Shown
from reports.words import slo as words

_LEGEND = (
    "The point is the highest rate of an open load at which the promise ({}) is kept, the line its "
    "95% interval over blocks; a triangle points to where the load generator could offer no more. "
    "Below it in grey are the rates that were tried: kept (circle), broken (cross), or "
    "generator-bound (bar)."
)


@dataclass(frozen=True, kw_only=True)
class Slo(Section):
    """The figure, a sentence a target, and a table, as texts."""

    template: ClassVar[str] = "studies/slo.html.j2"
    table: pd.DataFrame
    left_out: list[str]

    @classmethod
    def read(cls, results: Results) -> Self | None:
        """Gather it; None where no promise was looked at."""
        loads = results.table("slo")
        found = kept(loads)
        if not found:
            return None
        promise = words.promised(found[0].promise)
        draw = partial(rates, found, loads)
        return cls(
            title=f"How much each mode can serve with {promise}",
            heading=words.HEADING,
            sentences=words.sentences(found),
            figures=[Shown("slo", words.HEADING, _LEGEND.format(promise), draw)],
            table=words.table(found),
            left_out=words.left_out(found),
        )
