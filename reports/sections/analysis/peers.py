"""Each mode beside the real products that it re-enacts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Self

import pandas as pd

from harness.results.analysis.peers import beside_peers
from reports.section import Results, Section
from reports.words import peers as words


@dataclass(frozen=True, kw_only=True)
class Peers(Section):
    """The sentences, a table for each condition, and what ran the scripts."""

    template: ClassVar[str] = "analysis/peers.html.j2"
    tables: Sequence[tuple[str, pd.DataFrame]]
    sides: str

    @classmethod
    def read(cls, results: Results) -> Self | None:
        """Gather it; None where no mode and peer were measured together."""
        manifest = results.manifest
        beside = {one.name: one.beside for one in manifest.targets if one.beside is not None}
        found = beside_peers(results.trials, beside) if beside else []
        if not found:
            return None
        on = [(name, str(manifest.versions[name])) for name in beside if name in manifest.versions]
        interpreter = manifest.interpreter
        return cls(
            heading=words.HEADING,
            sentences=words.sentences(found),
            tables=[(one.condition.words(), words.table(one)) for one in found],
            sides=words.sides(str(interpreter.get("path")), str(interpreter.get("version")), on),
        )
