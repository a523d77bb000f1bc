"""How much is measured, and what for."""

from __future__ import annotations

import pytest

from harness.cli.options import targets as modes
from harness.errors import IsobenchError
from harness.neighbour.effort import Effort, plan
from harness.neighbour.noises import EVERY, choose
from harness.target.targets import choose as choose_targets

DSO = {"dso": "server"}
BOTH = ("rlimits", "cgroup")


def test_each_block_has_every_target_in_an_order_of_its_own() -> None:
    targets = {"dso": "server", "cgi": "server", "harache": "owner", "ruid2": "owner"}
    blocks = plan(Effort(blocks=3), targets, EVERY, [()], seed=1)
    orders = [[one.target for one in block] for block in blocks]
    assert all(sorted(order) == sorted(targets) for order in orders)
    assert len({tuple(order) for order in orders}) > 1
    assert blocks == plan(Effort(blocks=3), targets, EVERY, [()], seed=1)


def test_under_limits_only_what_they_limit_is_measured_again() -> None:
    (block,) = plan(Effort(blocks=1), DSO, EVERY, [(), ("rlimits",)], seed=1)
    made = {one.limits: {noise.name for noise in one.noises} for one in block}
    assert made["none"] == {noise.name for noise in EVERY}
    assert made["rlimits"] == {"memory", "forks", "disk"}


def test_a_cgroup_limits_more_and_gives_its_name() -> None:
    (block,) = plan(Effort(blocks=1), {"ruid2": "owner"}, EVERY, [BOTH], seed=1)
    assert block[0].limits == "cgroup"
    assert {noise.name for noise in block[0].noises} == {"flood", "cpu", "memory", "forks", "disk"}


def test_where_no_process_is_a_tenants_nothing_is_measured_that_only_a_cgroup_limits() -> None:
    (block,) = plan(Effort(blocks=1), DSO, EVERY, [BOTH], seed=1)
    assert {noise.name for noise in block[0].noises} == {"memory", "forks", "disk"}
    assert plan(Effort(blocks=1), DSO, choose(["flood"]), [BOTH], seed=1) == [[]]


def test_noise_that_nothing_limits_is_not_measured_again() -> None:
    assert plan(Effort(blocks=1), DSO, choose(["slow"]), [("rlimits",)], seed=1) == [[]]


def test_the_quiet_tenant_asks_no_more_than_a_quarter_of_what_a_target_can_do() -> None:
    assert Effort(rate=100).rate_for(1000) == 100
    assert Effort(rate=100).rate_for(61) == 15
    assert Effort(rate=100).rate_for(0) == 2


def test_a_slow_targets_windows_are_longer_so_that_they_have_requests() -> None:
    effort = Effort(seconds=0.4)
    assert effort.seconds_for(100) == 0.4
    assert effort.seconds_for(20) == 0.5
    assert effort.seconds_for(2) == 1.6


@pytest.mark.parametrize("limited", [[()], [(), BOTH]])
def test_all_modes_fit_into_six_minutes_unless_told_otherwise(limited: list[tuple[str]]) -> None:
    targets = {target.name: target.runs_as for target in choose_targets(modes(None))}
    blocks = plan(Effort(), targets, EVERY, limited, seed=1)
    every = [one for block in blocks for one in block]
    assert sum(Effort().expected_s(1 + len(one.noises)) for one in every) < 360


@pytest.mark.parametrize("wrong", [{"blocks": 0}, {"seconds": -1.0}, {"rate": float("nan")}])
def test_what_cannot_be_measured_is_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(IsobenchError) as caught:
        Effort(**wrong)  # type: ignore[arg-type]  # what a user may type
    assert caught.value.hint.startswith(f"omit --{next(iter(wrong))}")


def test_an_unknown_noise_gets_a_hint() -> None:
    with pytest.raises(IsobenchError) as caught:
        choose(["floods"])
    assert caught.value.hint == "did you mean flood?"
