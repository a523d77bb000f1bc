"""Every number of the trials, and how to read them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Self

import pandas as pd

from harness.results.conditions import BASELINE, by_condition
from harness.results.format import readable
from reports.section import Results, Section


@dataclass(frozen=True, kw_only=True)
class Numbers(Section):
    """A table of texts for each condition, by its words."""

    template: ClassVar[str] = "trials/numbers.html.j2"
    tables: Sequence[tuple[str, pd.DataFrame]]
    baseline: str = BASELINE

    @classmethod
    def read(cls, results: Results) -> Self | None:
        """Gather them; None where no trial has ended."""
        tables = [
            (condition.words(), telling(readable(rows, BASELINE)))
            for condition, rows in by_condition(results.summary)
        ]
        return cls(tables=tables) if tables else None

    @property
    def columns(self) -> set[str]:
        """The names of all columns."""
        return {str(name) for _, table in self.tables for name in table.columns}


def telling(table: pd.DataFrame) -> pd.DataFrame:
    """Return a table of texts as the page has it: what tells most first, and what fits.

    Columns that have no number but 0 are left out. The verdict stands beside the name: at the end
    of a line as wide as this it would not be seen.
    """
    target, runs_as, *numbers, verdict = list(table.columns)
    kept = [name for name in numbers if set(table[name]) - {"0", "\N{EN DASH}"}]
    return table[[target, verdict, runs_as, *kept]]
