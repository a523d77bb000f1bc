"""What isolation costs a page: each mode's share for real pages, from its overhead with hello."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import ClassVar, Self

import pandas as pd

from harness.results.analysis.page_cost import LIMIT, page_costs
from harness.results.conditions import BASELINE
from reports.figures.pages import shares
from reports.section import Results, Section, Shown
from reports.words import pages as words

_LEGEND = (
    "Each target's share of the baseline's capacity for pages that take 1 to 200 ms of CPU time of "
    "their own; the dark line is the 95% interval. A diamond is a share that was measured."
)


@dataclass(frozen=True, kw_only=True)
class Pages(Section):
    """The figure, its sentences, and two tables for each condition, as texts."""

    template: ClassVar[str] = "analysis/pages.html.j2"
    tables: Sequence[tuple[str, pd.DataFrame, pd.DataFrame]]
    limit: float = LIMIT
    baseline: str = BASELINE

    @classmethod
    def read(cls, results: Results) -> Self | None:
        """Gather it; None where the baseline and another target were not measured with hello."""
        found = page_costs(results.trials)
        if not found:
            return None
        return cls(
            heading=words.HEADING,
            sentences=words.sentences(found),
            figures=[Shown("pages", words.HEADING, _LEGEND, partial(shares, found))],
            tables=[
                (one.condition.words(), words.table(one), words.checks_table(one)) for one in found
            ],
        )
