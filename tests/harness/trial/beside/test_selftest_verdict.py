"""The selftest's arithmetic: from trials to comparisons, shares and goals."""

import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from harness.errors import IsobenchError
from harness.results.conditions import Condition
from harness.stats.significance import Finding
from harness.target.targets import Target
from harness.trial.beside.selftest_verdict import (
    BASELINE,
    CPU,
    ENOUGH,
    QUICK,
    RATE,
    VARIANTS,
    Outcome,
    Procedure,
    Variant,
    conclude,
    service_us,
    targets,
)
from tests.harness.trial.judging.test_assess import ROW

CONDITION = Condition("hello", "closed:2", "keep-alive", 1, "uniform")
AGAIN, PLANT5, PLANT10 = VARIANTS
SMALL = Procedure(comparisons=20, blocks=7)
DSO = Target("dso", "dso", "Apache mod_php", "server", "", {})


def trials(
    procedure: Procedure, factors: Mapping[str, float], noise: float = 0.01, seed: int = 1
) -> pd.DataFrame:
    """Return the trials of a selftest; `factors` say how much CPU a variant costs more."""
    chance = np.random.default_rng(seed)
    rows = []
    for spec in procedure.plan(3).trials():
        cpu = 80 * factors.get(spec.target, 1.0) * math.exp(chance.normal(0, noise))
        rows.append(
            {
                "trial": spec.trial,
                "block": spec.block,
                "target": spec.target,
                **CONDITION._asdict(),
                "verdict": "ok",
                "attempt": 1,
                "disturbed": "",
                CPU: cpu,
                RATE: 1e6 / cpu,
            }
        )
    return pd.DataFrame(rows)


def concluded(procedure: Procedure, frame: pd.DataFrame) -> Outcome:
    return conclude(procedure, 3, 80.0, (79.0, 80.0, 81.0), frame)


def shares(outcome: Outcome, metric: str = CPU) -> dict[str, int]:
    return {one.variant: one.called for one in outcome.shares if one.metric == metric}


PLANTED = {PLANT5.name: 1.05, PLANT10.name: 1.10}


def test_the_full_procedure_fits_into_its_budget() -> None:
    plan = Procedure().plan(1)
    assert Procedure().comparisons >= 40
    assert QUICK.comparisons < ENOUGH
    trial_s = plan.seconds + plan.warmup_s + 0.2
    assert len(list(plan.trials())) * trial_s < Procedure().budget_s <= 900
    assert plan.budget_s == Procedure().budget_s


def test_each_block_has_each_variant_once_in_an_order_of_its_own() -> None:
    plan = QUICK.plan(5)
    orders: dict[int, list[str]] = {}
    for spec in plan.trials():
        orders.setdefault(spec.block, []).append(spec.target)
    assert len(orders) == QUICK.comparisons * QUICK.blocks
    names = {BASELINE, *(variant.name for variant in VARIANTS)}
    assert all(set(order) == names and len(order) == 4 for order in orders.values())
    assert len(set(map(tuple, orders.values()))) > 1
    assert list(QUICK.plan(5).trials()) == list(plan.trials())


def test_planted_differences_are_found_and_equals_are_not_called_different() -> None:
    outcome = concluded(SMALL, trials(SMALL, PLANTED))
    assert shares(outcome) == {AGAIN.name: 0, PLANT5.name: 20, PLANT10.name: 20}
    assert shares(outcome, RATE) == shares(outcome)
    assert outcome.missed() == []
    found = {one.variant: one.found for one in outcome.shares if one.metric == CPU}
    assert found[PLANT5.name].low < 1.05 < found[PLANT5.name].high
    assert found[AGAIN.name].low < 1 < found[AGAIN.name].high


def test_equals_that_differ_are_false_alarms_in_either_direction() -> None:
    for factor in (1.08, 1 / 1.08):
        outcome = concluded(SMALL, trials(SMALL, {**PLANTED, AGAIN.name: factor}))
        assert shares(outcome)[AGAIN.name] == 20
        assert [one.variant for one in outcome.missed()] == [AGAIN.name]


def test_a_difference_in_the_wrong_direction_is_not_what_was_planted() -> None:
    outcome = concluded(SMALL, trials(SMALL, {PLANT5.name: 0.9, PLANT10.name: 1.1}))
    assert shares(outcome)[PLANT5.name] == 0
    assert [one.variant for one in outcome.missed()] == [PLANT5.name]
    lower = [one.finding for one in outcome.comparisons if one.variant == PLANT5.name]
    assert Finding.LOWER in lower


def test_noise_hides_what_is_planted_and_the_goal_is_missed() -> None:
    outcome = concluded(SMALL, trials(SMALL, PLANTED, noise=0.2))
    assert PLANT5.name in [one.variant for one in outcome.missed()]


def test_no_goal_hangs_on_the_rate() -> None:
    outcome = concluded(SMALL, trials(SMALL, {}))
    assert {one.met for one in outcome.shares if one.metric == RATE} == {None}


@pytest.mark.parametrize(
    ("variant", "share", "good"),
    [(AGAIN, 0.05, True), (AGAIN, 0.075, False), (PLANT5, 0.8, True), (PLANT5, 0.775, False),
     (PLANT10, 0.95, True), (PLANT10, 0.925, False)],
)  # fmt: skip
def test_goals(variant: Variant, share: float, good: bool) -> None:
    assert variant.meets(share) is good


def test_the_quick_one_misses_a_goal_only_where_chance_is_no_excuse() -> None:
    def met(factors: Mapping[str, float], odd: Iterable[int], factor: float) -> bool | None:
        frame = trials(QUICK, {**PLANTED, **factors})
        blocks = [(number - 1) * QUICK.blocks + b for number in odd for b in range(1, 8)]
        odd_ones = frame["block"].isin(blocks) & (frame["target"] == AGAIN.name)
        frame[CPU] = frame[CPU].where(~odd_ones, frame[CPU] * factor)
        return concluded(QUICK, frame).shares[0].met

    assert met({}, [1], 1.2) is True  # 1 of 6: its interval reaches down to 0.4%
    assert met({}, [1, 2, 3], 1.2) is False  # 3 of 6: at least 11%


def test_the_binomial_interval_is_that_of_the_comparisons() -> None:
    again = concluded(SMALL, trials(SMALL, PLANTED)).shares[0]
    assert (again.comparisons, again.low) == (20, 0)
    assert again.high == pytest.approx(1 - 0.025 ** (1 / 20))


def test_a_lost_trial_takes_its_block_from_its_own_comparison_only() -> None:
    frame = trials(SMALL, PLANTED)
    lost = (frame["block"] == 8) & (frame["target"] == PLANT5.name)
    frame.loc[lost, "verdict"] = "void: it lied"
    frame.loc[lost, [CPU, RATE]] = math.nan
    outcome = concluded(SMALL, frame)
    assert outcome.void == 1
    blocks = {(c.number, c.variant): c.blocks for c in outcome.comparisons if c.metric == CPU}
    assert blocks[2, PLANT5.name] == 6
    assert blocks[2, PLANT10.name] == blocks[1, PLANT5.name] == blocks[3, PLANT5.name] == 7


def test_of_two_attempts_the_undisturbed_one_counts() -> None:
    frame = trials(SMALL, PLANTED, noise=0.0)
    repeated = frame[frame["target"] == AGAIN.name].assign(attempt=2)
    frame.loc[frame["target"] == AGAIN.name, "disturbed"] = "others took 50%"
    frame.loc[frame["target"] == AGAIN.name, CPU] *= 1.5
    outcome = concluded(SMALL, pd.concat([frame, repeated], ignore_index=True))
    assert shares(outcome)[AGAIN.name] == 0
    assert outcome.shares[0].found.mid == pytest.approx(1.0)
    assert outcome.void == 0


def test_when_the_time_is_over_an_unfinished_comparison_was_not_made() -> None:
    frame = trials(SMALL, PLANTED)
    outcome = concluded(SMALL, frame[frame["block"] <= 7 * 3 + 6])
    assert (outcome.made, outcome.few) == (3, True)
    assert {one.comparisons for one in outcome.shares} == {3}


def test_without_any_trial_nothing_is_found() -> None:
    frame = trials(SMALL, {}).iloc[:0]
    outcome = concluded(SMALL, frame)
    assert (outcome.made, outcome.few) == (0, True)
    json.dumps(outcome.to_json(), allow_nan=False)


def test_the_outcome_as_json_has_the_figures_of_each_comparison() -> None:
    content = json.loads(json.dumps(concluded(QUICK, trials(QUICK, PLANTED)).to_json()))
    assert (content["seed"], content["few"], content["judged_metric"]) == (3, True, CPU)
    assert content["planted_us"][PLANT10.name] == pytest.approx(8.0)
    assert len(content["comparisons"]) == 6 * 3 * 2
    assert {"number", "variant", "metric", "ratio", "p_value", "called"} <= content["comparisons"][
        0
    ].keys()


def test_the_service_time_is_the_median_of_the_pilots() -> None:
    rows = [
        replace(ROW, verdict="ok", requests_per_second=1.0, server_cpu_us_per_request=cpu)
        for cpu in (80.0, 200.0, 70.0)
    ]
    assert service_us(rows) == (80.0, (80.0, 200.0, 70.0))
    with pytest.raises(IsobenchError, match="dso cannot be measured here: void: not made"):
        service_us([*rows, ROW])


def test_variants_are_the_same_server_but_for_the_plant() -> None:
    dso, again, slow, slower = targets(DSO, 80.0)
    assert dso.name == DSO.name
    # The baseline has the plant's own overhead, too: they differ in nothing but its time.
    assert [one.slowdown_us for one in (dso, again, slow, slower)] == pytest.approx([0, 0, 4, 8])
    assert {one.mode for one in (again, slow, slower)} == {"dso"}
    assert again.options == slower.options == {}
