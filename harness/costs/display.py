"""The live line: what is measured, and how long the rest takes."""

from __future__ import annotations

from rich.console import Console
from rich.progress import BarColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from harness.progress import Live


def about(seconds: float) -> str:
    """Return how long something takes, such as "6 min"."""
    return f"{seconds / 60:.0f} min" if seconds >= 90 else f"{max(10, round(seconds, -1)):.0f} s"


class Display(Live):
    """A context. `expected_s` is about how long all will take; where no terminal is, it is said."""

    def __init__(self, console: Console, expected_s: float) -> None:
        super().__init__(
            console,
            expected_s,
            TextColumn("{task.description:<44}", markup=False),
            BarColumn(bar_width=20),
            TimeElapsedColumn(),
            TextColumn("left"),
            TimeRemainingColumn(),
        )
        self._said = 0

    def begins(self, number: int, what: str) -> None:
        """Show which round is under way, and what in it."""
        self._progress.update(self._task, description=f"round {number}: {what}")
        if number != self._said and not self._console.is_terminal:
            self._console.print(f"round {number}")
        self._said = number

    def ended(self, expected_s: float) -> None:
        """Count a step that was expected to take so long."""
        self._progress.advance(self._task, expected_s)
