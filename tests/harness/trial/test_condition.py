"""Trials of one condition: what belongs together, how fast each target is, who is loaded when."""

from dataclasses import replace

import numpy as np

from harness.plan.interleaving import Pace
from harness.plan.loads import Closed
from harness.plan.plan import Plan
from harness.target.randomization import Setup
from harness.target.targets import choose
from harness.trial.barrier import Barrier
from harness.trial.condition import Condition, Paces, by_condition
from harness.trial.outcome import Trial
from harness.trial.prepare import Prepared
from tests.harness.folders import ROW

PLAN = Plan(
    targets=("dso", "cgi"), loads=(Closed(2),), connections=("close", "keep-alive"), blocks=1
)
SPECS = list(PLAN.trials())


def test_trials_of_the_same_workload_load_and_connection_belong_together() -> None:
    groups = by_condition(SPECS)
    assert len(groups) == 2
    for group in groups:
        assert len({spec.connection for spec in group}) == 1
        assert {spec.target for spec in group} == {"dso", "cgi"}


def test_a_pace_is_known_for_its_target_under_its_load_only() -> None:
    paces = Paces(replace(PLAN, slice_s=0.03))
    first = SPECS[0]
    assert paces.of(first) is None
    noted = paces.note(first, 1000.0)
    assert paces.of(replace(first, block=9)) == noted
    others = [spec for spec in SPECS if spec.target != first.target]
    assert [paces.of(other) for other in others] == [None] * 2
    assert paces.of(replace(first, workload="io")) is None


def test_until_its_own_is_known_the_pace_with_other_connections_will_do() -> None:
    paces = Paces(replace(PLAN, slice_s=0.03))
    closed, kept = (replace(SPECS[0], connection=one) for one in ("close", "keep-alive"))
    noted = paces.note(closed, 100.0)
    assert paces.of(kept) == noted
    own = paces.note(kept, 50.0)
    assert (paces.of(closed), paces.of(kept)) == (noted, own)


def condition() -> Condition:
    specs = by_condition(SPECS)[0]
    prepared = [
        Prepared(spec, target, Setup(0, 0, (), ""), ROW, {})
        for spec, target in zip(specs, choose([spec.target for spec in specs]), strict=True)
    ]
    return Condition(prepared, Barrier(len(prepared)))


def test_the_paces_of_the_next_block_are_those_of_the_trials_that_counted() -> None:
    one = condition()
    paces = Paces(PLAN)
    first, second = (prepared.spec for prepared in one.prepared)
    void = replace(ROW, trial=second.trial, verdict="void: gone", requests_per_second=None)
    counted = replace(ROW, trial=first.trial, requests_per_second=500.0)
    empty = Trial(ROW, np.empty(0))
    judged = {row.trial: replace(empty, row=row) for row in (counted, void)}
    paces.learn([one], judged)
    assert paces.of(first) is not None
    assert paces.of(second) is None
    assert [trial.row.trial for trial in one.own(list(judged.values()))] == [
        first.trial,
        second.trial,
    ]


def test_all_trials_of_a_condition_get_the_same_slices_also_one_without_a_pace() -> None:
    one = condition()
    one.paces["dso"] = Pace(0.03, 0.0)
    slices = one.interleaving(PLAN)
    assert slices == one.interleaving(PLAN)
    assert all(len(slices.of(place)) for place in range(2))
