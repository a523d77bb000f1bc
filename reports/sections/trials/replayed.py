"""The access log that a run replayed, in words."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

from reports.section import Results, Section
from reports.words import replayed as words


@dataclass(frozen=True, kw_only=True)
class Replayed(Section):
    """What was read of the log, and how it was replayed."""

    @classmethod
    def read(cls, results: Results) -> Self | None:
        """Gather it from run.json; None where no log was replayed."""
        plan = results.manifest.plan
        if "replay" not in plan:
            return None
        sentences = words.sentences(plan["replay"], float(plan["seconds"]))
        return cls(heading=words.HEADING, sentences=sentences)
