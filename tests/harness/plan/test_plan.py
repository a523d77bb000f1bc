"""The order of trials, and what cannot be measured."""

import json
import math
from collections import Counter
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.errors import IsobenchError
from harness.plan.plan import (
    CONNECTIONS,
    MOST_TOGETHER,
    PAGE,
    PAGE_TARGETS,
    SCHEDULES,
    Closed,
    Open,
    Plan,
    parse_load,
    workers_for,
)

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


@pytest.mark.parametrize("change", [{"loads": None}, {"blocks": "x"}, {"surprise": 1}])
def test_a_plan_of_another_version_is_refused(change: dict[str, object]) -> None:
    with pytest.raises(IsobenchError, match="no plan that can be resumed") as caught:
        Plan.from_json(PLAN.to_json() | change)
    assert caught.value.hint


def test_keep_alive_users_must_not_outnumber_the_workers() -> None:
    with pytest.raises(IsobenchError, match="9 users starve on 8 workers") as caught:
        Plan(targets=("dso",), loads=(Closed(4), Open(50), Closed(9)), workers=8)
    assert "--workers 9" in caught.value.hint
    assert Plan(targets=("dso",), loads=(Closed(9),), workers=8, connections=("close",))


def test_outstanding_requests_are_bounded() -> None:
    plan = Plan(targets=("dso",), loads=(Open(50),), workers=4)
    assert (plan.bound("close"), plan.bound("keep-alive")) == (64, 4)
    with pytest.raises(IsobenchError, match="5 outstanding requests starve on 4 workers") as caught:
        replace(plan, outstanding=5)
    assert "--outstanding 4" in caught.value.hint
    plan = replace(plan, outstanding=3)
    assert (plan.bound("close"), plan.bound("keep-alive")) == (3, 3)
    assert replace(plan, outstanding=100, connections=("close",)).bound("close") == 100
    # Without an open load it is of no consequence.
    assert replace(plan, outstanding=5, loads=(Closed(4),))


def test_an_open_load_takes_our_own_client() -> None:
    with pytest.raises(IsobenchError, match="fasthttp cannot send at intended times") as caught:
        Plan(targets=("dso",), loads=(Closed(8), Open(50)), client="fasthttp")
    assert "--client lean" in caught.value.hint


def test_a_pool_is_as_large_as_the_loads_ask_for() -> None:
    assert workers_for([Closed(2), Closed(12)]) == 12
    assert workers_for([Open(50)]) == workers_for([]) == 8
    assert workers_for([Closed(2), Open(50)]) == 8


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
        {"outstanding": 0},
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
    assert parse_load("closed:8") == Closed(8)
    assert str(Closed(8)) == "closed:8"


@pytest.mark.parametrize(
    ("text", "load"),
    [
        ("open:500", Open(500.0)),
        ("open:500:uniform", Open(500.0, "uniform")),
        ("open:0.25", Open(0.25)),
        ("open:1000000", Open(1e6)),
    ],
)
def test_open_loads(text: str, load: Open) -> None:
    assert parse_load(text) == load
    assert str(load) == text
    assert parse_load("open:500:poisson") == Open(500.0)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("open:0", "cannot be offered"),
        ("open:1000001", "cannot be offered"),
        ("open:500:weekly", "unknown schedule 'weekly'"),
        ("open:", "is not a load"),
        ("open:-5", "is not a load"),
        ("open:1e3", "is not a load"),
        ("open:nan", "is not a load"),
        ("open:500:", "is not a load"),
    ],
)
def test_what_cannot_be_offered(text: str, reason: str) -> None:
    with pytest.raises(IsobenchError, match=reason) as caught:
        parse_load(text)
    assert caught.value.hint


@pytest.mark.parametrize("text", ["", "8", "closed:", "closed:0", "closed:-1", "closed:8 ", "half"])
def test_what_is_no_load(text: str) -> None:
    with pytest.raises(IsobenchError, match="is not a load") as caught:
        parse_load(text)
    assert "closed:N" in caught.value.hint


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


@pytest.mark.parametrize(
    "changes",
    [
        {"slice_s": 0.001},
        {"slice_s": 3.0},
        {"client": "fasthttp"},
    ],
)
def test_slices_that_mean_nothing_are_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(IsobenchError, match=r"slices|interleaved") as caught:
        replace(SLICED, **changes)
    assert "--slices" in caught.value.hint


ALL = ("cgi", "dso", "fastcgi", "harache", "ruid2", "suexec")


def test_a_page_is_measured_beside_for_a_few_targets_in_the_first_blocks() -> None:
    plan = Plan(targets=ALL, connections=("keep-alive", "close"), blocks=7, page=PAGE)
    pages = [spec for spec in plan.trials() if spec.workload == PAGE]
    assert {spec.target for spec in pages} == set(PAGE_TARGETS)
    assert {spec.connection for spec in pages} == {"close"}
    assert {spec.block for spec in pages} == {1, 2, 3, 4, 5}
    assert len(pages) == 5 * len(PAGE_TARGETS)
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
