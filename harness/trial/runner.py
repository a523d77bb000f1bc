"""Goes through a plan, trial by trial, and writes each down before the next begins."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, replace
from itertools import takewhile
from typing import Protocol

import pandas as pd

from harness.host import interference
from harness.plan import stopping
from harness.plan.plan import Plan, Spec
from harness.results.folder import ResultsFolder
from harness.results.rows import TrialRow
from harness.trial.bench import Bench
from harness.trial.beside import mechanisms
from harness.trial.outcome import Trial


class InterleavingBench(Bench, Protocol):
    """A bench that can make several trials at the same time."""

    def measure_interleaved(self, specs: Sequence[Spec]) -> list[Trial]:
        """Make trials of one condition together, each in its own slices of time."""


class Watcher(Protocol):
    """Whoever wants to know how a run gets on."""

    def begins(self, spec: Spec) -> None:
        """Take note that a trial begins."""

    def ended(self, spec: Spec, row: TrialRow) -> None:
        """Take note of what became of it."""


def remaining(plan: Plan, folder: ResultsFolder) -> list[Spec]:
    """Return the trials still to be made, in their order, as far as is known now.

    All that decides is in the folder, so a resumed run goes on as it would have. Between two
    blocks, the disturbed trials of the block before are made again (see `interference`), and the
    run ends where it has measured enough (see `stopping`).
    """
    trials = folder.trials()
    made = set(trials["trial"])
    order = list(plan.trials())
    left = [spec for spec in order if spec.trial not in made]
    next_block = left[0].block if left else plan.blocks + 1
    if any(spec.block == next_block and spec.trial in made for spec in order):
        return left  # in the middle of a block
    if again := _again(plan, order, trials, next_block - 1):
        return [*again, *left]
    return [] if stopping.decide(plan, trials) else left


def _again(plan: Plan, order: Sequence[Spec], trials: pd.DataFrame, block: int) -> list[Spec]:
    """Return which trials of a block are to be made again, after the others in their order.

    What disturbs one interleaved trial disturbs them all, and their comparison stands.
    """
    specs = [spec for spec in order if spec.block == block and not plan.is_interleaved(spec)]
    rows = trials[trials["block"] == block]
    disturbed = set(rows[rows["disturbed"].fillna("") != ""]["trial"])
    repeated = set(trials[trials["attempt"] > 1]["trial"])
    wanted = [
        replace(spec, attempt=2, position=len(specs) + place)
        for place, spec in enumerate((s for s in specs if s.trial in disturbed), 1)
    ]
    in_block = {spec.trial for spec in wanted}
    allowed = interference.repeatable(block, len(specs), len(repeated - in_block))
    return [spec for spec in wanted[:allowed] if spec.trial not in repeated]


def carry_out(
    plan: Plan,
    bench: InterleavingBench,
    folder: ResultsFolder,
    watcher: Watcher,
    clock: Callable[[], float] = time.monotonic,
) -> None:
    """Make all remaining trials.

    A failed trial is void, and the run goes on. What is interrupted loses the trials under way and
    nothing else. `clock` gives seconds.
    """
    while left := remaining(plan, folder):
        _measure_mechanisms(plan, bench, folder, watcher, left[0].block, clock)
        # What is left may be another after each trial that ends a block.
        for specs in plan.together(list(_of_first_block(left))):
            for spec in specs:
                watcher.begins(spec)
            began = clock()
            if plan.is_interleaved(specs[0]):
                trials = bench.measure_interleaved(specs)
            else:
                trials = [bench.measure(spec) for spec in specs]
            took_s = (clock() - began) / len(specs)
            rows = [
                replace(trial.row, attempt=spec.attempt, took_s=took_s)
                for spec, trial in zip(specs, trials, strict=True)
            ]
            folder.append_trials(
                (row, trial.latencies_us, trial.response_us)
                for row, trial in zip(rows, trials, strict=True)
            )
            for spec, row in zip(specs, rows, strict=True):
                watcher.ended(spec, row)


def _measure_mechanisms(
    plan: Plan,
    bench: InterleavingBench,
    folder: ResultsFolder,
    watcher: Watcher,
    block: int,
    clock: Callable[[], float],
) -> None:
    """Measure what modes are made of, before the trials of a block, unless that was done."""
    specs = mechanisms.remaining(plan, folder, block)
    if not specs:
        return
    watcher.begins(specs[-1])
    began = clock()
    trials = bench.measure_interleaved(specs)
    rows = mechanisms.rows(trials, clock() - began)
    folder.append_table(mechanisms.TABLE, [asdict(row) for row in rows])


def _of_first_block(specs: Sequence[Spec]) -> Iterator[Spec]:
    first = (specs[0].block, specs[0].attempt)
    return takewhile(lambda spec: (spec.block, spec.attempt) == first, specs)


def conclude(plan: Plan, folder: ResultsFolder) -> None:
    """Write into run.json that the run has ended well, and what ended it."""
    if stop := stopping.decide(plan, folder.trials()):
        folder.update(stopped=stop.to_json())
    folder.finish()


def voids(folder: ResultsFolder) -> Iterator[tuple[str, str]]:
    """Yield the name and the verdict of each trial that does not count.

    One that something else silenced is forgiven if it went well when it was made again.
    """
    trials = folder.trials()
    good = set(trials[trials["verdict"] == "ok"]["trial"])
    for row in trials.itertuples():
        if str(row.verdict).startswith("void") and f"{row.trial}/2" not in good:
            yield str(row.trial), str(row.verdict)
