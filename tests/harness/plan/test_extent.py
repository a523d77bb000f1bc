"""How long a run takes where its user has not said."""

from dataclasses import replace

import pytest

from harness.plan.extent import QUICK, USUAL, Wanted, of
from harness.plan.loads import Closed, Open, Sweep
from harness.plan.plan import Plan
from harness.plan.stopping import MOST_BLOCKS

PLAN = Plan(targets=("dso", "cgi"))


def test_unasked_a_run_goes_on_until_it_is_precise_or_its_budget_is_over() -> None:
    plan = of(PLAN, Wanted(), quick=False)
    assert (plan.precision, plan.blocks) == (USUAL.precision, MOST_BLOCKS)
    assert plan.budget_s == 2 * USUAL.budget_s
    assert plan.slice_s is not None


def test_more_conditions_have_more_time() -> None:
    plan = of(replace(PLAN, workloads=("hello", "upload")), Wanted(), quick=True)
    assert (plan.budget_s, plan.seconds) == (4 * QUICK.budget_s, QUICK.seconds)


def test_blocks_alone_are_made_and_a_precision_alone_is_reached() -> None:
    blocks = of(PLAN, Wanted(blocks=3), quick=False)
    assert (blocks.blocks, blocks.precision, blocks.budget_s) == (3, None, None)
    precise = of(PLAN, Wanted(precision=0.01), quick=False)
    assert (precise.blocks, precise.precision, precise.budget_s) == (MOST_BLOCKS, 0.01, None)


def test_a_budget_bounds_the_way_to_the_usual_precision() -> None:
    plan = of(PLAN, Wanted(budget_s=20.0), quick=False)
    assert (plan.precision, plan.budget_s) == (USUAL.precision, 20.0)


@pytest.mark.parametrize(
    "plan",
    [
        replace(PLAN, loads=(Open(100.0),)),
        replace(PLAN, loads=(Closed(8), Sweep())),
    ],
)
def test_open_loads_have_a_number_of_blocks(plan: Plan) -> None:
    made = of(plan, Wanted(), quick=False)
    assert (made.blocks, made.precision, made.budget_s) == (USUAL.blocks, None, None)


def test_targets_are_measured_one_after_the_other_where_that_is_asked_for_or_needed() -> None:
    alone = of(PLAN, Wanted(alone=True), quick=False)
    assert (alone.slice_s, alone.seconds, alone.blocks) == (None, USUAL.alone_seconds, USUAL.blocks)
    assert of(replace(PLAN, client="fasthttp"), Wanted(), quick=False).slice_s is None


def test_short_trials_have_short_slices() -> None:
    assert of(PLAN, Wanted(seconds=0.01, blocks=1), quick=False).slice_s == 0.01
