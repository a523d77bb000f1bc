"""What explains the modes: each one's CPU time put together from bare costs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Self

import pandas as pd

from harness.results.summary import BASELINE
from reports.section import Results, Section
from reports.sections.costs import interpreter
from reports.words import explained as words


@dataclass(frozen=True, kw_only=True)
class Explained(Section):
    """Why modes cost what they cost, under one condition."""

    template: ClassVar[str] = "explained.html.j2"
    condition: str
    table: pd.DataFrame
    baseline: str = BASELINE

    @classmethod
    def read(cls, results: Results) -> Self | None:
        """Put it together; None where a folder has no costs, or no trials to explain by them."""
        recipes = {
            target.name: target.recipe
            for target in results.manifest.targets
            if target.recipe is not None
        }
        costs = results.table("costs")
        if costs.empty:
            return None
        found = words.explain(results.summary, costs, interpreter(results.manifest), recipes)
        if found is None:
            return None
        condition, explanations = found
        most_expensive = words.most_expensive_phases(
            results.table("phases"), results.table("profiles")
        )
        return cls(
            condition=condition.words(),
            sentences=words.findings(explanations, most_expensive),
            table=words.table(explanations),
        )
