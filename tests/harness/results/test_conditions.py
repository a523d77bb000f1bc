"""Which rows of a table belong together."""

from __future__ import annotations

import pandas as pd

from harness.results.conditions import Condition, by_condition, by_target, portions_apart, under

HELLO = Condition("hello", "closed:8", "close", 10, "uniform")
KEPT = HELLO._replace(connection="keep-alive")
TABLE = pd.DataFrame(
    [
        {"target": target, "rate": rate, **condition._asdict()}
        for target, rate, condition in (
            ("dso", 1, HELLO),
            ("cgi", 2, HELLO),
            ("dso", 3, KEPT),
            ("dso", 4, HELLO),
        )
    ]
)


def test_rows_of_a_condition_differ_in_nothing_that_tells_conditions_apart() -> None:
    assert under(TABLE, HELLO)["rate"].tolist() == [1, 2, 4]
    assert under(TABLE[:0], HELLO).empty
    assert [(one, rows["rate"].tolist()) for one, rows in by_condition(TABLE)] == [
        (HELLO, [1, 2, 4]),
        (KEPT, [3]),
    ]


def test_rows_of_a_target_are_of_one_condition() -> None:
    assert {key: rows["rate"].tolist() for key, rows in by_target(TABLE)} == {
        ("dso", HELLO): [1, 4],
        ("cgi", HELLO): [2],
        ("dso", KEPT): [3],
    }


def test_portions_of_a_knee_are_set_apart() -> None:
    table = pd.DataFrame({"load": ["closed:8", "open:50%", "open:50"]})
    common, portions = portions_apart(table)
    assert (common["load"].tolist(), portions["load"].tolist()) == (
        ["closed:8", "open:50"],
        ["open:50%"],
    )
