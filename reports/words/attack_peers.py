"""Modes beside real products under the same attacks: where they agree, and where not. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import pandas as pd
from rich.table import Table
from rich.text import Text

from harness.results.format import NONE, first_few
from reports.words.attacks import modes_beside

_COUNTS: Final = ("blocked", "succeeded")
_MOST_NAMED: Final = 3
_ROOM_FOR_NAMES: Final = 120


@dataclass(frozen=True)
class Pairing:
    """A mode and a product that stands beside it, by the attacks that count on both.

    `better` are the attacks that only the product stopped, `worse` those that only the mode did.
    """

    mode: str
    peer: str
    alike: int
    better: tuple[str, ...]
    worse: tuple[str, ...]

    @property
    def counted(self) -> int:
        """How many attacks count on both."""
        return self.alike + len(self.better) + len(self.worse)


def pairings(attacks: pd.DataFrame) -> list[Pairing]:
    """Return all pairs of a mode and a product, by name; none where no product was attacked."""
    outcomes = {
        str(target): dict(zip(rows["attack"], rows["outcome"], strict=True))
        for target, rows in attacks.groupby("target")
    }
    pairs = sorted((mode, peer) for peer, mode in modes_beside(attacks).items())
    return [_pairing(mode, peer, outcomes[mode], outcomes[peer]) for mode, peer in pairs]


def _pairing(mode: str, peer: str, its: dict[str, str], other: dict[str, str]) -> Pairing:
    both = [
        name for name, outcome in its.items() if outcome in _COUNTS and other.get(name) in _COUNTS
    ]
    differing = [name for name in both if its[name] != other[name]]
    better = tuple(name for name in differing if other[name] == "blocked")
    worse = tuple(name for name in differing if its[name] == "blocked")
    return Pairing(mode, peer, len(both) - len(differing), better, worse)


def sentences(found: Sequence[Pairing]) -> Iterator[str]:
    """Yield of each pair in how many attacks it agrees, and every one in which it does not."""
    for one in found:
        yield (
            f"{one.peer} and {one.mode} agree in {one.alike} of {one.counted} attacks that count "
            f"on both.{_only(one.peer, one.better)}{_only(one.mode, one.worse)}"
        )


def _only(target: str, names: Sequence[str]) -> str:
    return f" Only {target} stopped {', '.join(names)}." if names else ""


def terminal_table(found: Sequence[Pairing], width: int = 100) -> Table:
    """Return a line for each pair, with the first few attacks in which it does not agree.

    With their number alone where `width`, in columns, has no room for names.
    """
    told = _number if width < _ROOM_FOR_NAMES else _some
    table = Table(
        title="products beside modes, by the attacks that count on both",
        title_justify="left",
        box=None,
        pad_edge=False,
        padding=(0, 2, 0, 0),
    )
    for heading in ("mode", "product"):
        table.add_column(heading, no_wrap=True)
    table.add_column("alike", justify="right", no_wrap=True)
    table.add_column("only the product stopped", overflow="fold")
    table.add_column("only the mode stopped", overflow="fold")
    for one in found:
        texts = (one.mode, one.peer, f"{one.alike}/{one.counted}")
        table.add_row(*map(Text, (*texts, told(one.better), told(one.worse))))
    return table


def _number(names: Sequence[str]) -> str:
    return str(len(names)) if names else NONE


def _some(names: Sequence[str]) -> str:
    return first_few(names, _MOST_NAMED) or NONE
