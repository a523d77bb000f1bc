"""What processes and interpreters cost by themselves."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import ClassVar, Self

import pandas as pd

from harness.results.manifest import Manifest
from reports.figures import costs as figures
from reports.section import Results, Section, Shown
from reports.words import costs as words


@dataclass(frozen=True, kw_only=True)
class Costs(Section):
    """Bare costs; a table is what stands above it, and its rows."""

    template: ClassVar[str] = "studies/costs.html.j2"
    tables: Sequence[tuple[str, pd.DataFrame]]
    missing: Sequence[tuple[str, str]]

    @classmethod
    def read(cls, results: Results) -> Self | None:
        """Gather it; None where costs were not measured."""
        rows = results.table("costs")
        if rows.empty:
            return None
        missing = results.manifest.also.get("costs", {}).get("missing", ())
        return cls(
            title=words.title(rows),
            sentences=words.findings(rows, interpreter(results.manifest)),
            figures=list(_figures(rows)),
            tables=[(heading, table) for heading, table in _tables(rows) if not table.empty],
            missing=[(one["name"], one["reason"]) for one in missing],
        )


def interpreter(manifest: Manifest) -> str:
    """Return the tenants' interpreter as costs name it, such as CPython 3.11.7."""
    return f"CPython {manifest.interpreter.get('version')}"


def _tables(rows: pd.DataFrame) -> list[tuple[str, pd.DataFrame]]:
    return [
        ("Making and reaping a process", words.creation_table(rows)),
        ("CPython processes and their children", words.heap_table(rows)),
        ("Starting a tenant's permanent worker", words.worker_table(rows)),
        ("Starting an interpreter", words.launch_table(rows)),
        ("The most expensive imports", words.most_expensive(rows)),
    ]


def _figures(rows: pd.DataFrame) -> Iterator[Shown]:
    if not words.of(rows, "creation").empty:
        yield Shown(
            "costs-processes",
            "Process creation against memory",
            "From before the call until the child, which does nothing or executes a program that "
            "does nothing, is reaped; all on one core. The curve is the fitted line, a "
            "cost per process plus a cost per MiB, which log scales bend.",
            partial(figures.creation, rows),
        )
    if not words.launches(rows).empty:
        yield Shown(
            "costs-interpreters",
            "Interpreters: from exec to the first line, and to exit",
            "A script of one line, files in memory. The time does not include creating the "
            "process.",
            partial(figures.launches, rows),
        )
    if not words.of(rows, "import").empty:
        yield Shown(
            "costs-imports",
            "What each workload imports",
            "By CPython's own -X importtime, whose clock makes each import a little longer. Grey "
            "is what the interpreter imports before any script; the ten most expensive of the rest "
            "are numbered, each by the time of its own code. Each tree has its own scale.",
            partial(figures.imports, rows),
        )
