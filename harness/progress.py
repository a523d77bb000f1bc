"""The live line of a run: which trial is under way, how many are made, how long the rest takes."""

from __future__ import annotations

from typing import Self

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from harness.plan.plan import Spec
from harness.results.rows import TrialRow
from harness.terminal import can_redraw, styled


def live_line(console: Console, *columns: ProgressColumn) -> Progress:
    """Return a line of these columns that goes away at its end; none where there is no terminal.

    To draw it takes time of a core that may be the load generator's: once a second will do.
    """
    return Progress(
        *columns,
        console=console,
        transient=True,
        refresh_per_second=1,
        disable=not can_redraw(console),
    )


class Live:
    """A context around a live line that shows how much of `total` is done, None for unknown."""

    def __init__(self, console: Console, total: float | None, *columns: ProgressColumn) -> None:
        self._console = console
        self._progress = live_line(console, *columns)
        self._task = self._progress.add_task("starting", total=total)

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()


class Display(Live):
    """A context that shows a run's progress; where there is no terminal, a line a block.

    `trials` is how many there will be, None where that is not known beforehand.
    """

    def __init__(self, console: Console, trials: int | None) -> None:
        super().__init__(
            console,
            trials,
            TextColumn("{task.description}", markup=False),
            BarColumn(bar_width=20),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TextColumn("left"),
            # Trials of one block differ in length by target, so the speed of many is what tells.
            TimeRemainingColumn(),
        )
        self._block = 0

    def begins(self, spec: Spec) -> None:
        """Show which trial is under way."""
        stage = f"block {spec.block}" if spec.block else "knee"
        again = ", again" if spec.attempt > 1 else ""
        text = f"{stage}: {spec.target}, {spec.workload}, {spec.load}, {spec.connection}{again}"
        total = self._progress.tasks[self._task].total
        if again and total is not None:
            self._progress.update(self._task, total=total + 1)
        self._progress.update(self._task, description=f"{text:<50}")
        if spec.block != self._block and not can_redraw(self._console):
            self._console.print(f"block {spec.block}")
        self._block = spec.block

    def ended(self, spec: Spec, row: TrialRow) -> None:
        """Count the trial, and say at once if it went wrong."""
        self._progress.advance(self._task)
        if row.verdict != "ok":
            self._progress.console.print(
                styled((spec.target, "yellow"), f" ({spec.connection}): {row.verdict}")
            )
