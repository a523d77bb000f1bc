"""When a run ends, and what it says of it."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import asdict, replace

import pandas as pd
import pytest

from harness.errors import IsobenchError
from harness.plan.loads import Closed, Open
from harness.plan.plan import Plan
from harness.plan.stopping import FIRST_LOOK, End, decide, parse_span
from harness.results import schema
from harness.results.rows import TrialRow
from tests.harness.results.test_summary import row, void

PLAN = Plan(
    targets=("dso", "cgi"), loads=(Closed(8),), connections=("close",), blocks=50, precision=0.03
)
LOOSE = (1.0, 1.2, 0.9, 1.1, 0.95, 1.05, 1.3)


def frame(rows: Sequence[TrialRow]) -> pd.DataFrame:
    table: pd.DataFrame = schema.to_table("trials", [asdict(one) for one in rows]).to_pandas()
    return table


def blocks(count: int, ratios: Sequence[float] = (1.0,), took_s: float = 2.0) -> pd.DataFrame:
    """Return blocks of two trials in which dso hardly varies, and cgi's ratio as given."""
    return frame(
        [
            one
            for block in range(1, count + 1)
            for one in (
                row("dso", block, 1000 + block % 2, took_s=took_s),
                row("cgi", block, 100 * ratios[block % len(ratios)], took_s=took_s),
            )
        ]
    )


def test_precise_enough_but_not_before_the_least() -> None:
    for count in range(1, FIRST_LOOK):
        assert decide(PLAN, blocks(count)) is None
    stop = decide(PLAN, blocks(FIRST_LOOK))
    assert stop is not None
    assert (stop.by, stop.blocks, stop.wanting) == (End.PRECISION, FIRST_LOOK, ())
    assert (stop.spent_s, stop.block_s) == (20.0, 4.0)


def test_one_wide_interval_keeps_it_going() -> None:
    assert decide(PLAN, blocks(7, LOOSE)) is None


def test_a_page_that_is_measured_beside_keeps_nothing_going() -> None:
    pages = blocks(FIRST_LOOK, LOOSE).assign(workload="page:5ms")
    both = pd.concat([blocks(FIRST_LOOK), pages.assign(trial=pages["trial"] + "/page")])
    stop = decide(replace(PLAN, page="page:5ms"), both)
    assert stop is not None
    assert (stop.by, stop.wanting) == (End.PRECISION, ())


def test_the_budget_ends_it_before_a_block_that_would_not_fit() -> None:
    plan = replace(PLAN, budget_s=31.0)
    assert decide(plan, blocks(6, LOOSE)) is None
    stop = decide(plan, blocks(7, LOOSE))
    assert stop is not None
    assert stop.by is End.BUDGET
    (wanting,) = stop.wanting
    assert wanting.target == "cgi"
    assert wanting.within is not None
    assert wanting.within > 0.03
    assert wanting.more_blocks is not None
    assert wanting.more_blocks > 10
    assert wanting.condition == "hello, 8 users, one connection per request, 1 tenant"


def test_the_first_block_is_always_made() -> None:
    plan = replace(PLAN, budget_s=0.001)
    assert decide(plan, frame([])) is None
    stop = decide(plan, blocks(1))
    assert stop is not None
    assert (stop.by, stop.blocks) == (End.BUDGET, 1)
    assert [(one.within, one.more_blocks) for one in stop.wanting] == [(None, None)]


def test_blocks_are_the_bound() -> None:
    stop = decide(replace(PLAN, blocks=3), blocks(3, LOOSE))
    assert stop is not None
    assert stop.by is End.BLOCKS
    assert stop.wanting


def test_without_precision_or_budget_blocks_alone_decide() -> None:
    plan = replace(PLAN, precision=None, blocks=7)
    assert decide(plan, blocks(6)) is None
    stop = decide(plan, blocks(7, LOOSE))
    assert stop is not None
    assert (stop.by, stop.precision) == (End.BLOCKS, None)


def test_what_the_smallest_effect_would_take_is_reported_unasked() -> None:
    plan = replace(PLAN, precision=None, smallest_effect=0.05, blocks=7)
    stop = decide(plan, blocks(7, LOOSE))
    assert stop is not None
    assert stop.aim == 0.05
    (wanting,) = stop.wanting
    (as_asked,) = (decide(replace(plan, precision=0.05), blocks(7, LOOSE)) or stop).wanting
    assert wanting == as_asked
    few = decide(replace(plan, blocks=FIRST_LOOK - 1), blocks(FIRST_LOOK - 1, LOOSE))
    assert few is not None
    assert few.wanting == ()


def test_without_the_baseline_it_is_the_rate() -> None:
    rows = blocks(7, LOOSE)
    alone = rows[rows["target"] == "cgi"]
    stop = decide(replace(PLAN, blocks=7), alone)
    assert stop is not None
    assert [one.target for one in stop.wanting] == ["cgi"]


def test_what_never_works_does_not_keep_it_going() -> None:
    dead = frame([void("suzuki", block) for block in range(1, 6)])
    stop = decide(PLAN, pd.concat([blocks(5), dead], ignore_index=True))
    assert stop is not None
    assert stop.by is End.PRECISION


def test_trials_before_the_first_block_are_none() -> None:
    assert decide(PLAN, frame([row("dso", 0, 10)])) is None


def test_run_json_can_hold_it() -> None:
    stop = decide(replace(PLAN, budget_s=1.0), blocks(1))
    assert stop is not None
    text = json.dumps(stop.to_json(), allow_nan=False)
    assert json.loads(text)["by"] == "budget"


@pytest.mark.parametrize(
    ("text", "seconds"), [("90s", 90), ("10m", 600), ("1.5h", 5400), (" 2m ", 120)]
)
def test_spans(text: str, seconds: float) -> None:
    assert math.isclose(parse_span(text, "--budget"), seconds)


@pytest.mark.parametrize("text", ["", "10", "m", "-1m", "0s", "10 m", "1d"])
def test_what_is_no_span(text: str) -> None:
    with pytest.raises(IsobenchError, match="is not a time") as caught:
        parse_span(text, "--budget")
    assert "10m" in caught.value.hint


@pytest.mark.parametrize(
    "change",
    [
        {"precision": 0.0},
        {"precision": 1.5},
        {"budget_s": -1.0},
        {"smallest_effect": 0.0},
        {"loads": (Open(5),)},
    ],
    ids=str,
)
def test_a_plan_refuses_what_means_nothing(change: dict[str, object]) -> None:
    with pytest.raises(IsobenchError) as caught:
        replace(PLAN, **change)  # type: ignore[arg-type]
    assert caught.value.hint
