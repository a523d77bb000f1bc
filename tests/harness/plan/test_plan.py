"""The order of trials, and which are made together."""

import json
from collections import Counter
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.errors import IsobenchError
from harness.plan.loads import SCHEDULES, Closed, Open
from harness.plan.plan import CONNECTIONS, MOST_TOGETHER, PAGE, PAGE_TARGETS, Plan
from tests.harness.plan.test_loads import REPLAY

PLAN = Plan(targets=("cgi", "dso", "ruid2"), workloads=("hello", "upload"), seed=7)

rates = st.floats(0.001, 1e6).map(lambda rate: float(f"{rate:.6f}"))
open_loads = st.builds(Open, rates, st.sampled_from(SCHEDULES))

plans = st.builds(
    Plan,
    targets=st.lists(st.sampled_from("abcdef"), min_size=1, unique=True).map(tuple),
    loads=st.lists(st.integers(1, 8).map(Closed) | open_loads, min_size=1, unique=True).map(tuple),
    connections=st.lists(st.sampled_from(CONNECTIONS), min_size=1, unique=True).map(tuple),
    blocks=st.integers(1, 4),
    seconds=st.floats(0.1, 10),
    seed=st.integers(0, 2**31),
)


@given(plans)
def test_every_block_has_every_combination_once(plan: Plan) -> None:
    trials = list(plan.trials())
    assert len({spec.trial for spec in trials}) == len(trials)
    combinations = len(plan.targets) * len(plan.loads) * len(plan.connections)
    assert Counter(spec.block for spec in trials) == dict.fromkeys(
        range(1, plan.blocks + 1), combinations
    )
    for block in range(1, plan.blocks + 1):
        positions = [spec.position for spec in trials if spec.block == block]
        assert positions == list(range(1, combinations + 1))


def test_the_seed_decides_the_order() -> None:
    assert list(PLAN.trials()) == list(replace(PLAN).trials())
    assert list(PLAN.trials()) != list(replace(PLAN, seed=8).trials())


def test_the_order_differs_between_blocks() -> None:
    orders: dict[int, list[str]] = {}
    for spec in PLAN.trials():
        orders.setdefault(spec.block, []).append(spec.trial.partition("/")[2])
    assert len({tuple(order) for order in orders.values()}) == PLAN.blocks


def test_more_blocks_leave_the_earlier_ones_as_they_were() -> None:
    fewer = list(PLAN.trials())
    assert list(replace(PLAN, blocks=9).trials())[: len(fewer)] == fewer


def test_another_attempt_has_another_name() -> None:
    spec = next(PLAN.trials())
    assert replace(spec, attempt=2).trial == f"{spec.trial}/2"


def test_a_trial_is_named_for_all_that_tells_it_apart() -> None:
    assert next(Plan(targets=("dso",), connections=("close",)).trials()).trial == (
        "001/dso/hello/closed:8/close"
    )


@given(plans)
def test_a_plan_survives_json(plan: Plan) -> None:
    assert Plan.from_json(json.loads(json.dumps(plan.to_json()))) == plan


DIGITS = "closed:" + "9" * 5_000  # int() refuses more than 4,300 digits


@pytest.mark.parametrize(
    "change", [{"loads": None}, {"loads": [DIGITS]}, {"blocks": "x"}, {"surprise": 1}]
)
def test_a_plan_of_another_version_is_refused(change: dict[str, object]) -> None:
    with pytest.raises(IsobenchError, match="no plan that can be resumed") as caught:
        Plan.from_json(PLAN.to_json() | change)
    assert caught.value.hint


SLICED = replace(PLAN, loads=(Closed(2),), workers=2, slice_s=0.02, ceilings=("null",))


def test_interleaved_trials_of_a_block_share_their_servers() -> None:
    specs = [spec for spec in SLICED.trials() if spec.block == 1]
    (group,) = SLICED.together(specs)
    assert group == specs


def test_of_many_targets_no_more_live_at_once_than_memory_is_stated_for() -> None:
    plan = replace(SLICED, targets=tuple(f"t{number}" for number in range(40)))
    specs = [spec for spec in plan.trials() if spec.block == 1]
    groups = list(plan.together(specs))
    assert sorted(spec.trial for group in groups for spec in group) == sorted(
        spec.trial for spec in specs
    )
    assert max(len({spec.target for spec in group}) for group in groups) <= MOST_TOGETHER


def test_open_loads_have_the_time_for_themselves() -> None:
    plan = replace(SLICED, loads=(Closed(2), Open(50.0)), ceilings=())
    specs = [spec for spec in plan.trials() if spec.block == 1]
    alone = [group for group in plan.together(specs) if len(group) == 1]
    assert len(alone) == len(specs) / 2
    assert all(isinstance(spec.load, Open) for (spec,) in alone)


def test_otherwise_each_trial_is_made_alone() -> None:
    specs = list(PLAN.trials())
    assert list(PLAN.together(specs)) == [[spec] for spec in specs]


ALL = ("cgi", "dso", "fastcgi", "harache", "ruid2", "suexec")


def test_a_page_is_measured_beside_for_a_few_targets_in_the_first_blocks() -> None:
    plan = Plan(targets=ALL, connections=("keep-alive", "close"), blocks=7, page=PAGE)
    pages = [spec for spec in plan.trials() if spec.workload == PAGE]
    assert {spec.target for spec in pages} == set(PAGE_TARGETS)
    assert {spec.connection for spec in pages} == {"close"}
    assert {spec.block for spec in pages} == {1, 2, 3}
    assert len(pages) == 3 * len(PAGE_TARGETS)
    others = [spec for spec in plan.trials() if spec.workload != PAGE]
    assert len(others) == 7 * 2 * len(ALL)
    assert plan.every_workload == ("hello", PAGE)
    assert plan.times(pages[0])[1] < plan.times(others[0])[1]


@pytest.mark.parametrize(
    "changes",
    [
        {"targets": ("dso", "ruid2")},
        {"targets": ("harache", "suexec")},
        {"loads": (Open(50),)},
        {"page": None},
    ],
)
def test_a_page_with_nothing_to_compare_is_left_out(changes: dict[str, Any]) -> None:
    plan = Plan(**{"targets": ALL, "page": PAGE, **changes})
    assert {spec.workload for spec in plan.trials()} == {"hello"}


def test_a_plan_with_a_page_is_read_back() -> None:
    plan = Plan(targets=ALL, page=PAGE, page_pace=190)
    assert Plan.from_json(plan.to_json()) == plan


def test_a_plan_with_a_log_can_be_written_and_read_back() -> None:
    plan = replace(PLAN, loads=(REPLAY,), workers=8)
    assert Plan.from_json(json.loads(json.dumps(plan.to_json()))) == plan
    assert plan.replay == REPLAY
    assert PLAN.replay is None
    assert "replay" not in PLAN.to_json()
