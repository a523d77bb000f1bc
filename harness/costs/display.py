"""The live line: what is measured, and how long the rest takes."""

from __future__ import annotations

from typing import Self

from rich.console import Console
from rich.progress import BarColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from harness.progress import live_line


class Display:
    """A context. `expected_s` is about how long all will take; where no terminal is, it is said."""

    def __init__(self, console: Console, expected_s: float) -> None:
        self._console = console
        self._said = 0
        self._progress = live_line(
            console,
            TextColumn("{task.description:<44}"),
            BarColumn(bar_width=20),
            TimeElapsedColumn(),
            TextColumn("left"),
            TimeRemainingColumn(),
        )
        self._task = self._progress.add_task("starting", total=expected_s)

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()

    def begins(self, number: int, what: str) -> None:
        """Show which round is under way, and what in it."""
        self._progress.update(self._task, description=f"round {number}: {what}")
        if number != self._said and not self._console.is_terminal:
            self._console.print(f"round {number}")
        self._said = number

    def ended(self, expected_s: float) -> None:
        """Count a step that was expected to take so long."""
        self._progress.advance(self._task, expected_s)
