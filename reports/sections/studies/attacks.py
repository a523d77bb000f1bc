"""What each target stops: against its speed, at a glance, and with the evidence."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import ClassVar, Self

import pandas as pd

from reports.figures import attacks as figures
from reports.section import Results, Section, Shown
from reports.words import attack_answer, attack_peers
from reports.words import attacks as words


@dataclass(frozen=True, kw_only=True)
class Frontier(Section):
    """Security against speed, of targets that were both attacked and measured."""

    @classmethod
    def read(cls, results: Results) -> Self | None:
        """Gather it; None where no target was both."""
        placed = words.placed(results.table("attacks"), results.common)
        if not placed:
            return None
        shown = Shown(
            "frontier",
            "Security against speed",
            "Of the attacks between tenants. The line joins the targets that no other one beats in "
            "both. A target below or behind it loses in one without gaining in the other. A full "
            "mark also keeps a tenant's requests from each other, as harache does; the broken line "
            "joins the best of these. A ring does not.",
            partial(figures.frontier, placed),
        )
        return cls(figures=[shown])


@dataclass(frozen=True, kw_only=True)
class Matrix(Section):
    """All attacks on all targets at a glance."""

    @classmethod
    def read(cls, results: Results) -> Self | None:
        """Gather it; None where no attack was made."""
        attacks = results.table("attacks")
        if attacks.empty:
            return None
        shown = Shown(
            "attacks",
            "Attacks",
            "A square: the attack succeeded. A dot: it was blocked. Nothing: there was nothing to "
            "attack. The target that stops the largest share is on the left; products stand beside "
            "their mode.",
            partial(figures.matrix, attacks),
        )
        return cls(figures=[shown])


@dataclass(frozen=True, kw_only=True)
class Attacks(Section):
    """Each attack on each target, with its evidence."""

    template: ClassVar[str] = "studies/attacks.html.j2"
    standings: Sequence[words.Standing]
    shown: Mapping[str, Sequence[words.Shown]]
    beside_products: Sequence[str]

    @classmethod
    def read(cls, results: Results) -> Self | None:
        """Gather it; None where no attack was made."""
        attacks = results.table("attacks")
        return None if attacks.empty else cls._of(attacks, results)

    @classmethod
    def _of(cls, attacks: pd.DataFrame, results: Results) -> Self:
        standings = words.standings(attacks)
        return cls(
            title=attack_answer.sentences(attacks, results.common)[0].removesuffix("."),
            standings=standings,
            shown=words.shown(attacks, [one.target for one in standings]),
            beside_products=list(attack_peers.sentences(attack_peers.pairings(attacks))),
        )

    @property
    def families(self) -> list[str]:
        """The families of the attacks, in their order."""
        return list(self.shown)

    @property
    def targets(self) -> list[str]:
        """The targets, the safest first."""
        return [one.target for one in self.standings]
