"""The same loads by another generator."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Self

import pandas as pd

from reports.section import Results, Section
from reports.words import loads


@dataclass(frozen=True, kw_only=True)
class Crosscheck(Section):
    """The comparison as texts: the last column is the remark, the first two are names."""

    template: ClassVar[str] = "trials/crosscheck.html.j2"
    table: pd.DataFrame

    @classmethod
    def read(cls, results: Results) -> Self | None:
        """Gather it; None where no other generator was used."""
        table = loads.cross_check_table(results.table("crosscheck"))
        return None if table.empty else cls(table=table)
