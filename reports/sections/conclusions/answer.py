"""The answer, before all else."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Self

from reports.section import Results, Section
from reports.words import answer, findings, loads

_FEW = 3


@dataclass(frozen=True, kw_only=True)
class Answer(Section):
    """What a reader needs who reads nothing else."""

    template: ClassVar[str] = "conclusions/answer.html.j2"

    @classmethod
    def read(cls, results: Results) -> Self | None:
        """Gather it from the trials; None where there are none and something else was measured."""
        found = answer.find(results.common)
        if found is not None:
            return cls(
                title=answer.title(found, results.manifest.stopped),
                sentences=answer.sentences(found, results.table("attacks"), results.common),
            )
        if not results.common.empty or not (results.swept or results.has_more):
            return cls(
                title=findings.title(results.common),
                sentences=findings.findings(results.common)[:_FEW],
            )
        if results.swept:
            title, said = loads.title(results.swept), loads.sweeps(results.swept)
            return cls(title=title, sentences=said[:_FEW])
        return None
