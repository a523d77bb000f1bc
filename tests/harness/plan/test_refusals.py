"""What cannot be measured, or would not mean what it seems to, is refused with a remedy."""

import math
from dataclasses import replace
from typing import Any

import pytest

from harness.errors import IsobenchError
from harness.plan.loads import Closed, Open
from harness.plan.plan import Plan
from tests.harness.plan.test_plan import SLICED


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


@pytest.mark.parametrize(
    "changes",
    [
        {"slice_s": 0.001},
        {"slice_s": 3.0},
        {"client": "fasthttp"},
    ],
)
def test_slices_that_mean_nothing_are_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(IsobenchError, match=r"slices|interleave") as caught:
        replace(SLICED, **changes)
    assert "--slices" in caught.value.hint
