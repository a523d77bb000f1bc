"""The order of trials, and what cannot be measured."""

import json
import math
from collections import Counter
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.errors import IsobenchError
from harness.matrix import CONNECTIONS, Load, Plan, parse_load

PLAN = Plan(targets=("cgi", "dso", "ruid2"), workloads=("hello", "upload"), seed=7)

plans = st.builds(
    Plan,
    targets=st.lists(st.sampled_from("abcdef"), min_size=1, unique=True).map(tuple),
    loads=st.lists(st.integers(1, 8).map(Load), min_size=1, unique=True).map(tuple),
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


def test_a_trial_is_named_for_all_that_tells_it_apart() -> None:
    assert next(Plan(targets=("dso",), connections=("close",)).trials()).trial == (
        "001/dso/hello/closed:8/close"
    )


@given(plans)
def test_a_plan_survives_json(plan: Plan) -> None:
    assert Plan.from_json(json.loads(json.dumps(plan.to_json()))) == plan


@pytest.mark.parametrize("change", [{"loads": None}, {"blocks": "x"}, {"surprise": 1}])
def test_a_plan_of_another_version_is_refused(change: dict[str, object]) -> None:
    with pytest.raises(IsobenchError, match="no plan that can be resumed") as caught:
        Plan.from_json(PLAN.to_json() | change)
    assert caught.value.hint


def test_keep_alive_users_must_not_outnumber_the_workers() -> None:
    with pytest.raises(IsobenchError, match="9 users starve on 8 workers") as caught:
        Plan(targets=("dso",), loads=(Load(4), Load(9)), workers=8)
    assert "--workers 9" in caught.value.hint
    assert Plan(targets=("dso",), loads=(Load(9),), workers=8, connections=("close",))


@pytest.mark.parametrize(
    "change",
    [
        {"blocks": 0},
        {"blocks": -1},
        {"seconds": 0.0},
        {"seconds": math.nan},
        {"seconds": math.inf},
        {"tenants": 0},
        {"workers": -1, "connections": ("close",)},
        {"targets": ()},
        {"workloads": ()},
        {"loads": ()},
        {"connections": ()},
    ],
    ids=str,
)
def test_nothing_and_endless_are_refused(change: dict[str, object]) -> None:
    with pytest.raises(IsobenchError) as caught:
        Plan(**{"targets": ("dso",), **change})  # type: ignore[arg-type]
    assert caught.value.hint


def test_loads() -> None:
    assert parse_load("closed:8") == Load(8)
    assert str(Load(8)) == "closed:8"


@pytest.mark.parametrize("text", ["", "8", "closed:", "closed:0", "closed:-1", "closed:8 ", "half"])
def test_what_is_no_load(text: str) -> None:
    with pytest.raises(IsobenchError, match="is not a load") as caught:
        parse_load(text)
    assert "closed:N" in caught.value.hint
