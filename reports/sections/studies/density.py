"""What more tenants cost, and cold starts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import ClassVar, Self

import pandas as pd

from reports.figures.density import cold_starts, curves
from reports.section import Results, Section, Shown
from reports.words import density as words

_LEGEND = (
    "Requests per second and memory (PSS of all of the server's processes) against the number of "
    "tenants. Solid: all tenants are requested equally often; dotted: by Zipf's law. The thin line "
    "extends the fitted one, and a cross marks where it reaches the free memory (the grey line)."
)
_COLD_LEGEND = (
    "The time to the first response of a tenant that was never requested, or whose worker was "
    "evicted. With a cold page cache only the tenant's own files had to be read from the disk."
)


@dataclass(frozen=True, kw_only=True)
class Density(Section):
    """The figures, a sentence a target, and two tables, as texts."""

    template: ClassVar[str] = "studies/density.html.j2"
    table: pd.DataFrame
    starts: pd.DataFrame
    cold_heading: str = words.COLD_HEADING

    @classmethod
    def read(cls, results: Results) -> Self | None:
        """Gather it; None where no density study was made."""
        density, starts = results.table("density"), results.table("coldstarts")
        if density.empty and starts.empty:
            return None
        return cls(
            title="How many tenants fit, and how long a cold start takes",
            heading=words.HEADING,
            sentences=words.sentences(density, starts),
            figures=list(_figures(density, starts)),
            table=pd.DataFrame(words.rows_of(density), columns=list(words.COLUMNS)),
            starts=words.cold_table(starts),
        )


def _figures(density: pd.DataFrame, starts: pd.DataFrame) -> Sequence[Shown]:
    shown = []
    if density["p99_ms"].notna().any():
        shown.append(Shown("density", words.HEADING, _LEGEND, partial(curves, density)))
    if starts["p50_ms"].notna().any():
        draw = partial(cold_starts, starts)
        shown.append(Shown("coldstarts", words.COLD_HEADING, _COLD_LEGEND, draw))
    return shown
