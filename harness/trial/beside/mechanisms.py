"""Mechanisms measured beside a run's trials: servers that do one thing more than `dso`.

Why, and what follows from it: `harness.results.analysis.mechanism_cost`. Pure but for looking into
the folder.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from harness.errors import IsobenchError
from harness.plan.loads import Closed
from harness.plan.plan import HELLO, Plan, Spec, with_mechanism
from harness.results.analysis.mechanism_cost import needed
from harness.results.conditions import BASELINE
from harness.results.folder import ResultsFolder
from harness.results.rows import MechanismRow, TrialRow
from harness.target.targets import Target
from harness.trial.outcome import Trial

TABLE: Final = "mechanisms"
KIND: Final = "mechanism"


def of(targets: Sequence[Target]) -> tuple[str, ...]:
    """Return the mechanisms that these targets are made of."""
    return needed(target.recipe for target in targets if target.recipe is not None)


def must_be_measurable(plan: Plan) -> None:
    """Raise IsobenchError where a plan has no place for mechanisms, and say what it lacks."""
    lacks = {
        f"{BASELINE} is not among the targets": BASELINE not in plan.targets,
        f"the workload {HELLO} is not measured": HELLO not in plan.workloads,
        "targets are not interleaved": plan.slice_s is None,
        "no load is closed": not any(isinstance(load, Closed) for load in plan.loads),
    }
    for reason, is_lacking in lacks.items():
        if is_lacking:
            raise IsobenchError(
                f"mechanisms cannot be measured: {reason}",
                hint=f"they are interleaved with {BASELINE} on {HELLO}: measure these under a "
                "closed load, or omit --mechanisms",
            )


def as_targets(plan: Plan, targets: Sequence[Target]) -> list[Target]:
    """Return the servers that do a plan's mechanisms, all of them `dso` but for that.

    None where the baseline is not among the targets.
    """
    baseline = next((one for one in targets if one.name == BASELINE), None)
    if baseline is None:
        return []
    return [_target(baseline, name) for name in plan.mechanisms]


def _target(baseline: Target, name: str) -> Target:
    return Target(
        name=with_mechanism(name),
        mode=baseline.mode,
        precedent="none",
        runs_as=baseline.runs_as,
        summary="Does one mechanism more than dso.",
        options={},
        kind=KIND,
        mechanism=name,
    )


def remaining(plan: Plan, folder: ResultsFolder, block: int) -> list[Spec]:
    """Return what is to be measured of mechanisms in a block; nothing where that is there."""
    specs = plan.of_mechanisms(block)
    return [] if specs and block in set(folder.table(TABLE)["block"]) else specs


def rows(trials: Sequence[Trial], took_s: float) -> list[MechanismRow]:
    """Return a row a mechanism, of trials of which the first is the baseline's."""
    baseline, *others = (trial.row for trial in trials)
    return [_row(row, baseline, took_s / len(others)) for row in others]


def _row(row: TrialRow, baseline: TrialRow, took_s: float) -> MechanismRow:
    void = next((one.verdict for one in (row, baseline) if one.verdict != "ok"), None)
    facts = MechanismRow(
        block=row.block,
        mechanism=row.target.removeprefix(with_mechanism("")),
        workload=row.workload,
        load=row.load,
        connection=row.connection,
        took_s=took_s,
        verdict=void or "ok",
    )
    return facts if void else _with_numbers(facts, row, baseline)


def _with_numbers(facts: MechanismRow, row: TrialRow, baseline: TrialRow) -> MechanismRow:
    return replace(
        facts,
        requests=row.requests,
        cpu_us_per_request=row.server_cpu_us_per_request,
        page_faults_per_request=row.page_faults_per_request,
        context_switches_per_request=row.context_switches_per_request,
        baseline_cpu_us_per_request=baseline.server_cpu_us_per_request,
        baseline_page_faults_per_request=baseline.page_faults_per_request,
        baseline_context_switches_per_request=baseline.context_switches_per_request,
    )
