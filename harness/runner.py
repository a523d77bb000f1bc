"""Goes through a plan, trial by trial, and writes each down before the next begins."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

from harness.laboratory import Bench
from harness.matrix import Plan, Spec
from harness.results import ResultsFolder, TrialRow


class Watcher(Protocol):
    """Whoever wants to know how a run gets on."""

    def begins(self, spec: Spec) -> None:
        """Take note that a trial begins."""

    def ended(self, spec: Spec, row: TrialRow) -> None:
        """Take note of what became of it."""


def remaining(plan: Plan, folder: ResultsFolder) -> list[Spec]:
    """Return the trials of the plan that the folder does not have yet, in their order."""
    made = set(folder.trials()["trial"])
    return [spec for spec in plan.trials() if spec.trial not in made]


def carry_out(plan: Plan, bench: Bench, folder: ResultsFolder, watcher: Watcher) -> None:
    """Make all remaining trials.

    A failed trial is void, and the run goes on. What is interrupted loses the trial under way and
    nothing else.
    """
    for spec in remaining(plan, folder):
        watcher.begins(spec)
        trial = bench.measure(spec)
        folder.append_trial(trial.row, trial.latencies_us)
        watcher.ended(spec, trial.row)


def voids(folder: ResultsFolder) -> Iterator[tuple[str, str]]:
    """Yield the name and the verdict of each trial that does not count."""
    for row in folder.trials().itertuples():
        if str(row.verdict).startswith("void"):
            yield str(row.trial), str(row.verdict)
