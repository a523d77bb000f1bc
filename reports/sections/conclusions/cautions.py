"""What weakens the results: one line, that unfolds."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import ClassVar, Self

from harness.errors import Caution
from harness.results.cautions import cautions, failed_checks
from harness.results.manifest import Manifest
from reports.section import Results, Section


@dataclass(frozen=True, kw_only=True)
class Cautions(Section):
    """All cautions, the gravest first. What was fine is no caution, and is not spoken of."""

    template: ClassVar[str] = "conclusions/cautions.html.j2"
    cautions: Sequence[Caution]

    @classmethod
    def read(cls, results: Results) -> Self | None:
        """Gather them; None where there are none."""
        # Of a folder that has costs, attacks or profiles and no trials, no trial is missing.
        of_trials = not (results.summary.empty and results.has_more)
        found = _of_trials(results) if of_trials else _of_others(results.manifest)
        return cls(cautions=found) if found else None


def _of_trials(results: Results) -> list[Caution]:
    """Return those that make the others idle, then those of the numbers, then those of the host."""
    alarms = failed_checks(results.summary)
    others = [one for one in cautions(results.summary) if one not in alarms]
    return [
        *alarms,
        *_unfinished(results.manifest),
        *_broken_off(results.manifest),
        *others,
        *results.manifest.warnings,
    ]


def _of_others(manifest: Manifest) -> list[Caution]:
    return [*_broken_off(manifest), *manifest.warnings]


def _unfinished(manifest: Manifest) -> Iterator[Caution]:
    if not manifest.finished_at:
        yield Caution(
            "this run has not finished: what follows is what it has measured so far",
            "finish it: isobench run --resume with its folder",
        )


def _broken_off(manifest: Manifest) -> Iterator[Caution]:
    if manifest.also.get("attack", {}).get("finished_at", "") is None:
        yield Caution(
            "not all attacks have been run: what follows are their findings so far",
            "finish them: isobench attack --resume with the folder",
        )
