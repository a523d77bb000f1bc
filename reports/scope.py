"""What conditions have in common is said once; sentences say what tells them apart. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import pandas as pd

from harness.results.conditions import Condition, by_condition


@dataclass(frozen=True)
class Scope:
    """Several conditions as words: `common` to all of them, and what each has to itself."""

    common: str
    own: Mapping[Condition, str]

    @classmethod
    def of(cls, summary: pd.DataFrame) -> Scope:
        """Return the scope of a summary's rows."""
        conditions = [condition for condition, _ in by_condition(summary)]
        if not conditions:
            return cls("", {})
        shared = [
            len(set(values)) == 1 for values in zip(*(c.parts() for c in conditions), strict=True)
        ]
        common = _chosen(conditions[0], shared, wanted=True)
        return cls(common, {one: _chosen(one, shared, wanted=False) for one in conditions})

    def within(self, condition: Condition) -> str:
        """Return the beginning of a sentence on one condition; "" where there is no other."""
        own = self.own[condition]
        return f"With {own}, " if own else ""

    def after(self, condition: Condition) -> str:
        """Return the end of a clause on one condition; "" where there is no other."""
        own = self.own[condition]
        return f" with {own}" if own else ""


def _chosen(condition: Condition, shared: list[bool], *, wanted: bool) -> str:
    parts = zip(condition.parts(), shared, strict=True)
    return ", ".join(part for part, is_shared in parts if is_shared is wanted)
