"""What explains the modes: each one's CPU time put together from what it is made of."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Self

import pandas as pd

from harness.results.analysis.mechanism_cost import explain
from harness.results.conditions import BASELINE
from reports.section import Results, Section
from reports.words import explained as words


@dataclass(frozen=True, kw_only=True)
class Explained(Section):
    """Why modes cost what they cost, under one condition."""

    template: ClassVar[str] = "analysis/explained.html.j2"
    condition: str
    table: pd.DataFrame
    baseline: str = BASELINE

    @classmethod
    def read(cls, results: Results) -> Self | None:
        """Put it together; None where no mechanisms were measured beside the trials."""
        recipes = {
            target.name: target.recipe
            for target in results.manifest.targets
            if target.recipe is not None
        }
        found = explain(results.summary, results.table("mechanisms"), recipes)
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
