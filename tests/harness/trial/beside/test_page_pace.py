"""How much work a page is: found out with its own work, and the same after a resume."""

import os

import pytest

from harness.plan.plan import Plan
from harness.trial.beside import page_pace


def test_a_pace_is_found_and_the_caller_stays_where_it_was() -> None:
    before = os.sched_getaffinity(0)
    assert page_pace.measure([max(before)], seconds=0.02) > 1
    assert os.sched_getaffinity(0) == before


@pytest.mark.parametrize(
    ("pace", "kept"), [(0.3, 1), (7.4, 7), (98.6, 99), (154.9, 150), (1_234.0, 1_200)]
)
def test_two_figures_are_kept(pace: float, kept: int) -> None:
    assert page_pace.rounded(pace) == kept


def test_only_pages_need_a_pace() -> None:
    assert page_pace.needed(["hello", "page:5ms"])
    assert page_pace.needed(["hello+page:5ms"])
    assert not page_pace.needed(["hello+sqlite"])
    assert not page_pace.needed(["hello", "template"])


def test_a_resumed_plan_has_the_pace_of_the_first() -> None:
    plan = Plan(targets=("dso",), workloads=("page:5ms",), page_pace=150)
    assert Plan.from_json(plan.to_json()).page_pace == 150
