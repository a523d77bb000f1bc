"""What was found beyond the answer, in sentences; what they have in common is said once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Self

from reports.scope import Scope
from reports.section import Results, Section
from reports.sections.conclusions.answer import Answer
from reports.words import attack_answer, certainty, findings, loads


@dataclass(frozen=True, kw_only=True)
class Findings(Section):
    """The findings of trials, of loads and of attacks.

    `measured` is what all conditions have in common, "" where nothing is.
    """

    template: ClassVar[str] = "conclusions/findings.html.j2"
    measured: str

    @classmethod
    def read(cls, results: Results) -> Self | None:
        """Gather them; None where there are none, or the answer has said them all."""
        answer = Answer.read(results)
        said = set(answer.sentences if answer else ())
        every = [
            *_of_attacks(results),
            *findings.findings(results.common),
            *_of_load(results),
            *certainty.stopping(results.manifest.stopped),
        ]
        more = [sentence for sentence in every if sentence not in said]
        measured = Scope.of(results.common).common
        return cls(sentences=more, measured=measured) if more else None


def _of_attacks(results: Results) -> list[str]:
    made = results.table("attacks")
    return [] if made.empty else attack_answer.sentences(made, results.common)


def _of_load(results: Results) -> list[str]:
    sentences = [
        *loads.sweeps(results.swept),
        *loads.ceilings(results.common),
        *loads.cross_check(results.table("crosscheck")),
    ]
    if results.common.empty:
        measured = results.summary[results.summary["trials"] > 0]
        sentences += findings.identities(measured)
    return sentences
