"""What --fail-if takes, and when it holds."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import pytest

from harness.errors import IsobenchError
from harness.results.comparison.compare import COMPARABLE
from harness.results.comparison.thresholds import (
    LEVEL,
    Bound,
    Check,
    Outcome,
    check,
    parse_bound,
    parse_share,
)
from harness.stats.intervals import LogRatio, unpaired_ratio


@dataclass(frozen=True)
class Row:
    """What a bound asks of a row."""

    target: str
    metric: str
    logs: LogRatio


def row(change: float, *, error: float = 0.01, target: str = "dso") -> Row:
    return Row(target, "p99_ms", LogRatio(math.log1p(change), error, 8))


@pytest.mark.parametrize(
    ("text", "bound"),
    [
        ("requests_per_second < -5%", Bound("requests_per_second", False, -5.0)),
        (" p99_ms>10% ", Bound("p99_ms", True, 10.0)),
        ("dso: p99_ms > +2.5 %", Bound("p99_ms", True, 2.5, "dso")),
        ("cgi:spawn=fork: p99_ms > 10%", Bound("p99_ms", True, 10.0, "cgi:spawn=fork")),
        ("cgi:spawn=fork:p99_ms > 10%", Bound("p99_ms", True, 10.0, "cgi:spawn=fork")),
        ("requests_per_second < 5%", Bound("requests_per_second", False, 5.0)),
    ],
)
def test_words_of_a_bound(text: str, bound: Bound) -> None:
    assert parse_bound(text, COMPARABLE) == bound
    assert parse_bound(str(bound), COMPARABLE) == bound


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("", "write METRIC"),
        ("p99_ms", "write METRIC"),
        ("p99_ms > 10", "write METRIC"),
        ("p99_ms >= 10%", "write METRIC"),
        ("p99_ms > nan%", "write METRIC"),
        (": p99_ms > 1%", "write METRIC"),
        ("latency > 10%", "the metrics are requests_per_second, "),
        ("p99_ms < -100%", "above -100%"),
    ],
)
def test_words_that_are_no_bound(text: str, hint: str) -> None:
    with pytest.raises(IsobenchError) as raised:
        parse_bound(text, COMPARABLE)
    assert hint in raised.value.hint
    assert raised.value.exit_code == 2


def test_a_share() -> None:
    assert parse_share("3%", "--x") == pytest.approx(0.03)
    for wrong in ("3", "0%", "100%", "-3%", "x%"):
        with pytest.raises(IsobenchError, match="--x"):
            parse_share(wrong, "--x")


def test_a_bound_is_broken_where_the_near_end_of_the_interval_is_beyond() -> None:
    (limit,) = (Bound("p99_ms", True, 10.0),)
    for change in np.linspace(0.08, 0.18, 40):
        one = row(float(change))
        near_end = one.logs.interval().low
        (found,) = check([limit], [one])
        assert (found.outcome is Outcome.BROKEN) == (near_end > 1.10)


def test_below_mirrors_above() -> None:
    limit = Bound("p99_ms", False, -10.0)
    assert [one.outcome for one in check([limit], [row(-0.2), row(-0.11), row(0.2)])] == [
        Outcome.BROKEN,
        Outcome.KEPT,
        Outcome.KEPT,
    ]


def test_among_many_rows_it_takes_more() -> None:
    limit = Bound("p99_ms", True, 10.0)
    one = row(0.13)
    assert check([limit], [one])[0].outcome is Outcome.BROKEN
    many = [one, *(row(0.0) for _ in range(40))]
    assert check([limit], many)[0].outcome is Outcome.SUSPECTED


def test_equal_runs_seldom_break_a_bound_of_nothing() -> None:
    """The hardest case: a bound of 0% is at the truth itself; 20 rows, 300 comparisons."""
    random = np.random.default_rng(1)
    limit = Bound("p99_ms", True, 0.0)
    alarms = 0
    for _ in range(300):
        blocks = np.exp(random.normal(0, 0.05, (20, 2, 5)))
        rows = [Row("dso", "p99_ms", unpaired_ratio(*pair.tolist())) for pair in blocks]
        alarms += any(one.outcome is Outcome.BROKEN for one in check([limit], rows))
    assert alarms <= 0.05 * 300


def test_a_bound_is_about_its_target_alone() -> None:
    limit = Bound("p99_ms", True, 10.0, "cgi")
    rows = [row(0.5), row(0.5, target="cgi")]
    (found,) = check([limit], rows)
    assert found == Check(limit, 1, found.p_value, Outcome.BROKEN)
    assert found.p_value < LEVEL


@pytest.mark.parametrize(
    ("limit", "error", "hint"),
    [
        (Bound("p99_ms", True, 1.0, "ruid2"), "matches nothing", "p99_ms is available for dso"),
        (Bound("memory_mib", True, 1.0), "matches nothing", "memory_mib"),
    ],
)
def test_a_bound_that_can_never_be_broken(limit: Bound, error: str, hint: str) -> None:
    with pytest.raises(IsobenchError, match=error) as raised:
        check([limit], [row(0.0)])
    assert hint in raised.value.hint


def test_one_block_cannot_be_judged() -> None:
    limit = Bound("p99_ms", True, 10.0)
    blind = row(0.5, error=math.nan)
    with pytest.raises(IsobenchError, match="one valid block"):
        check([limit], [blind])
    assert [one.outcome for one in check([limit], [blind, row(0.5)])] == [
        Outcome.UNKNOWN,
        Outcome.BROKEN,
    ]
