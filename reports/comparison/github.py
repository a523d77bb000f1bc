"""A comparison as a comment on a change: the verdict first, and sixty lines at most. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import pandas as pd

from harness.results.comparison.compare import Compared, Comparison
from harness.results.comparison.thresholds import Outcome
from harness.results.format import table_markdown
from harness.stats.significance import Finding
from reports.comparison import table

MOST_LINES: Final = 60
_BOUNDS: Final = 6
_CAUTIONS: Final = 6
_ORDER: Final = (Outcome.BROKEN, Outcome.SUSPECTED, Outcome.UNKNOWN)


def github(comparison: Comparison) -> str:
    """Return the comparison as a comment."""
    return comment(comparison, _verdict(comparison), [])


def comment(comparison: Comparison, heading: str, said: Sequence[str]) -> str:
    """Return a comment with a heading and what else is to be said of it, of 60 lines at most.

    Rows are shown where a bound may fail or a difference is shown, the gravest first; what has no
    room is counted.
    """
    cautions = [line.removeprefix("- ") for line in table.caution_lines(comparison)]
    items = [
        *_items(said, MOST_LINES // 2),
        *_items(list(table.bound_lines(comparison)), _BOUNDS),
    ]
    before = [
        *(f"## {heading}", ""),
        *items,
        *(["", table.count_line(comparison), ""] if items else [table.count_line(comparison), ""]),
    ]
    after = [
        "",
        *(f"{line}  " for line in table.heading_lines(comparison)),
        *(["", *_items(cautions, _CAUTIONS)] if cautions else []),
    ]
    rows = _telling(comparison)
    room = MOST_LINES - len(before) - len(after) - len(_HEAD) - 2
    lines = _table(comparison, rows[:room]) if rows else []
    if more := len(rows) - len(rows[:room]):
        lines += ["", f"{more} more rows are left out; the step summary has all of them."]
    return "\n".join([*before, *lines, *after]) + "\n"


_HEAD: Final = ("titles", "alignment")


def _verdict(comparison: Comparison) -> str:
    broken = len(comparison.broken())
    if broken:
        return f"isobench: a bound fails in {broken} {'row' if broken == 1 else 'rows'}"
    return "isobench: no bound fails" if comparison.checks else "isobench: NEW beside BASE"


def _items(lines: Sequence[str], most: int) -> list[str]:
    """Return lines as a list; of more than `most` the rest is counted."""
    shown = [f"- {line}" for line in lines[:most]]
    return shown + ([f"- and {len(lines) - most} more"] if len(lines) > most else [])


def _telling(comparison: Comparison) -> list[tuple[int, Compared]]:
    """Return the rows that tell something, the gravest first."""

    def grave(placed: tuple[int, Compared]) -> tuple[int, int]:
        place, row = placed
        outcomes = {one.outcome for one in comparison.outcomes(place)}
        first = [number for number, outcome in enumerate(_ORDER) if outcome in outcomes]
        changed = row.finding in (Finding.HIGHER, Finding.LOWER)
        return min([*first, len(_ORDER) + (not changed)]), place

    rows = sorted(enumerate(comparison.rows), key=grave)
    return [placed for placed in rows if grave(placed)[0] <= len(_ORDER)]


def _table(comparison: Comparison, rows: Sequence[tuple[int, Compared]]) -> list[str]:
    cells = table.cells(comparison, rows)
    conditions = [row.condition.words() for _, row in rows]
    placed = pd.DataFrame({"target": cells["target"], "condition": conditions})
    return table_markdown(placed.join(cells.drop(columns="target"))).splitlines()
