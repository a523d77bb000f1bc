"""What the attacks showed: the matrix for the terminal, counts and shares for figures and words.

An attack counts as stopped where it was blocked, and as not counted where it had no object
(not-applicable) or gave no result (error). A family's share is of its attacks that count; a
target's is the mean over families, each with the same weight, since a family is one kind of harm
however many attacks show it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import pandas as pd
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

MARKS: Mapping[str, str] = {
    "blocked": "\N{MIDDLE DOT}",
    "succeeded": "X",
    "not-applicable": " ",
    "error": "?",
}
STYLES: Mapping[str, str] = {"succeeded": "red", "blocked": "green", "error": "yellow"}


@dataclass(frozen=True)
class Stopped:
    """How much a target stopped, or a family of attacks of it: `blocked` of `counted`."""

    blocked: int
    counted: int

    @property
    def share(self) -> float:
        """The share that was stopped; NaN where nothing counts."""
        return self.blocked / self.counted if self.counted else float("nan")

    def __str__(self) -> str:
        return f"{self.blocked} of {self.counted}" if self.counted else "\N{EN DASH}"


def stopped(rows: pd.DataFrame) -> Stopped:
    """Return how many of these attacks were stopped."""
    blocked = int((rows["outcome"] == "blocked").sum())
    return Stopped(blocked, blocked + int((rows["outcome"] == "succeeded").sum()))


def by_family(rows: pd.DataFrame) -> dict[str, Stopped]:
    """Return how many were stopped in each family, in the order of the table."""
    return {
        str(family): stopped(rows[rows["family"] == family])
        for family in rows["family"].unique()
    }


def mean_share(rows: pd.DataFrame) -> float:
    """Return the share of attacks stopped, as the mean over families that have attacks to count."""
    shares = [found.share for found in by_family(rows).values() if found.counted]
    return sum(shares) / len(shares) if shares else float("nan")


def ranked(attacks: pd.DataFrame) -> list[str]:
    """Return the targets, the one that stopped most first."""
    shares = {
        str(name): mean_share(attacks[attacks["target"] == name])
        for name in attacks["target"].unique()
    }
    return sorted(shares, key=lambda name: (-shares[name], name))


def terminal_matrix(attacks: pd.DataFrame, width: int = 100) -> RenderableType:
    """Return for each target how many attacks of each family it stopped, best first."""
    families = list(attacks["family"].unique())
    padding = (0, 1 if width < 110 else 2, 0, 0)
    title = "attacks stopped, of those that apply"
    table = Table(title=title, title_justify="left", box=None, pad_edge=False, padding=padding)
    table.add_column("target", no_wrap=True)
    table.add_column("share", justify="right", no_wrap=True)
    for family in families:
        table.add_column(str(family), justify="right")
    for target in ranked(attacks):
        rows = attacks[attacks["target"] == target]
        found = by_family(rows)
        cells = [
            Text(f"{one.blocked}/{one.counted}" if one.counted else "-", style=_style(one))
            for one in (found[str(family)] for family in families)
        ]
        table.add_row(Text(target), Text(f"{mean_share(rows):.0%}"), *cells)
    return Group(table)


def _style(found: Stopped) -> str:
    if not found.counted:
        return "dim"
    return "green" if found.blocked == found.counted else "red" if not found.blocked else "yellow"
