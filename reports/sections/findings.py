"""What was found, in sentences, with all that the sentences have in common said once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Self

from reports.scope import Scope
from reports.section import Results, Section
from reports.words import attacks, certainty, findings, loads


@dataclass(frozen=True, kw_only=True)
class Findings(Section):
    """The findings of trials, of loads and of attacks.

    `measured` is what all conditions have in common, "" where nothing is.
    """

    template: ClassVar[str] = "findings.html.j2"
    self_checks: str
    measured: str

    @classmethod
    def read(cls, results: Results) -> Self | None:
        """Gather them from a results folder."""
        return cls(
            title=_title(results),
            sentences=[
                *_of_attacks(results),
                *findings.findings(results.common),
                *_of_load(results),
                *certainty.stopping(results.manifest.stopped),
            ],
            self_checks=certainty.self_checks(results.summary),
            measured=Scope.of(results.common).common,
        )


def _title(results: Results) -> str | None:
    if not results.common.empty:
        return findings.title(results.common)
    if results.swept:
        return loads.title(results.swept)
    return None if results.has_more else findings.title(results.common)


def _of_attacks(results: Results) -> list[str]:
    made = results.table("attacks")
    return [] if made.empty else attacks.sentences(made, results.common)


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
