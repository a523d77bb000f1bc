"""docs/checked-against.md says what follows from its numbers, and explains what does not agree."""

import re

import pytest

from tests import checked_against as checked
from tests.checked_against import PAGE, Row

ROWS = list(checked.rows(PAGE.read_text()))


def test_each_ratio_of_ours_follows_from_the_run() -> None:
    found = checked.ratios()
    assert [(row.ours, row.order) for row in ROWS] == [checked.derived(row, found) for row in ROWS]


def test_the_sentence_about_the_order_follows_from_the_table() -> None:
    assert checked.sentence([row.order for row in ROWS]) in PAGE.read_text()


def test_each_pair_that_does_not_agree_is_explained() -> None:
    explained = re.findall(r"^- \*\*(\[[0-9]+\])", PAGE.read_text(), re.MULTILINE)
    for row in ROWS:
        assert row.order == "agrees" or row.source in explained, row


def test_each_source_is_named() -> None:
    named = re.findall(r"^\[([0-9]+)\]: ", PAGE.read_text(), re.MULTILINE)
    assert {row.source.strip("[]") for row in ROWS} <= set(named)


@pytest.mark.parametrize(
    ("published", "ours", "order"),
    [
        ("2.5", (4.0, 3.9, 4.1), "agrees"),
        ("less", (4.0, 3.9, 4.1), "**disagrees**"),
        ("0.60 to 0.84", (0.5, 0.4, 0.6), "agrees"),
        ("more", (1.1, 0.9, 1.3), "not shown"),
    ],
)
def test_an_order_counts_where_the_interval_excludes_one(
    published: str, ours: checked.Interval, order: str
) -> None:
    row = Row("[1]", "a : b", published, "`x` : `y`", "", "")
    found = {("hello", "x"): ours, ("hello", "y"): (1.0, 1.0, 1.0)}
    assert checked.derived(row, found)[1] == order


def test_tau_of_pairs_is_one_where_all_agree() -> None:
    assert checked.tau(["agrees", "not shown"]) == (1, 0, 1.0)
    assert checked.tau(["agrees", "**disagrees**"]) == (1, 1, 0.0)


def test_the_page_is_what_its_command_makes_of_it() -> None:
    page = PAGE.read_text()
    assert checked.renewed(page, checked.ratios()) == page
    doubled = {
        key: (2 * mid, 2 * low, 2 * high) for key, (mid, low, high) in checked.ratios().items()
    }
    assert checked.renewed(page, {**doubled, ("hello", "dso"): (1, 1, 1)}) != page
