"""What one tenant's noise does to another: the matrix, sentences, and a table."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import ClassVar, Self

import pandas as pd

from harness.results.analysis.neighbour import effects
from reports.figures.neighbour import matrix
from reports.section import Results, Section, Shown
from reports.words import neighbour as words

_LEGEND = (
    "How many times as long the p99 of a quiet tenant is while another one makes noise, compared "
    "with the quiet tenant alone on the same server, and the share of its requests that got no "
    "correct response. Bold: the 95% interval over blocks is above 1, or requests were lost. The "
    "target whose quiet tenant suffers least is at the top."
)


@dataclass(frozen=True, kw_only=True)
class Neighbour(Section):
    """The figure, its sentences, and the numbers as texts."""

    template: ClassVar[str] = "studies/neighbour.html.j2"
    table: pd.DataFrame

    @classmethod
    def read(cls, results: Results) -> Self | None:
        """Gather it; None where no noise was made."""
        found = effects(results.table("neighbour"))
        if not found:
            return None
        return cls(
            title="What one tenant's noise does to another",
            heading=words.HEADING,
            sentences=words.sentences(found),
            figures=[Shown("neighbour", words.HEADING, _LEGEND, partial(matrix, found))],
            table=words.table(found),
        )
