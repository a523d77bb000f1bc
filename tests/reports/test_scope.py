"""What conditions have in common is said once."""

from __future__ import annotations

import pandas as pd

from harness.results.conditions import Condition
from reports.scope import Scope

CLOSE = Condition("hello", "closed:8", "close", 10, "uniform")
KEPT = CLOSE._replace(connection="keep-alive")
OPEN = CLOSE._replace(load="open:500")


def summary(*conditions: Condition) -> pd.DataFrame:
    return pd.DataFrame([one._asdict() for one in conditions], columns=list(Condition._fields))


def test_one_condition_is_all_common() -> None:
    scope = Scope.of(summary(CLOSE, CLOSE))
    assert scope.common == CLOSE.words()
    assert scope.within(CLOSE) == scope.after(CLOSE) == ""


def test_what_differs_is_said_of_each() -> None:
    scope = Scope.of(summary(CLOSE, KEPT))
    assert scope.common == "hello, 8 users, 10 tenants"
    assert scope.within(KEPT) == "With connections kept alive, "
    assert scope.after(CLOSE) == " with one connection per request"
    more = Scope.of(summary(CLOSE, KEPT, OPEN))
    assert more.common == "hello, 10 tenants"
    assert more.within(OPEN) == "With 500 requests/s offered, one connection per request, "


def test_conditions_that_differ_in_what_has_no_words() -> None:
    other = CLOSE._replace(popularity="zipf:1.1")
    assert Scope.of(summary(CLOSE, other)).within(other) == ""


def test_nothing_at_all() -> None:
    assert Scope.of(summary()).common == ""
