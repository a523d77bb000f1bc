"""Where the time of a request goes, by the profiles of targets."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import ClassVar, Self

import pandas as pd

from reports.figures.waterfall import waterfall
from reports.section import Results, Section, Shown
from reports.words import profiles as words


@dataclass(frozen=True, kw_only=True)
class Profiles(Section):
    """The waterfall, its sentences, and two tables.

    `durations` has a row for each phase and a column for each target, `counts` a row for each
    target; both hold texts.
    """

    template: ClassVar[str] = "studies/profiles.html.j2"
    durations: pd.DataFrame
    counts: pd.DataFrame

    @classmethod
    def read(cls, results: Results) -> Self | None:
        """Gather it; None where no target was profiled."""
        phases, found = results.table("phases"), results.table("profiles")
        if found.empty:
            return None
        found = found.sort_values("service_us")
        draw = partial(waterfall, phases, found)
        return cls(
            title=words.HEADING,
            figures=[Shown("waterfall", words.HEADING, words.LEGEND, draw)],
            sentences=list(words.sentences(phases, found)),
            durations=words.durations(phases, found),
            counts=words.counts(results.table("calls"), found),
        )
