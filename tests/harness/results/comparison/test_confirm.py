"""What failed and was measured again: confirmed, refuted, undecided, or the host's fault."""

import math

import pytest

from harness.errors import IsobenchError
from harness.results.comparison.confirm import (
    Confirmation,
    Failed,
    Outcome,
    Probe,
    Verdict,
    judge,
    paired,
    sign_of_itself,
    signs_of_host,
)
from harness.results.comparison.thresholds import Bound
from harness.results.conditions import Condition
from harness.stats.intervals import Interval

FAILED = Failed(
    Bound("requests_per_second", above=False, percent=-5.0),
    "cgi",
    Condition("hello", "closed:8", "close", 3, "uniform"),
    Interval(0.85, 0.9, 0.94),
)
CONFIRMED = [0.89, 0.90, 0.91, 0.90, 0.89, 0.91]
REFUTED = [0.99, 1.00, 1.01, 1.00, 0.99, 1.01]
UNDECIDED = [0.80, 1.10, 0.90, 1.05, 0.85, 1.00]


def confirmation(ratios: list[float], *, interleaved: bool, signs: int = 0) -> Confirmation:
    again = judge([FAILED], [paired(ratios)])
    return Confirmation(interleaved, len(ratios), again, tuple("sign" for _ in range(signs)))


@pytest.mark.parametrize(
    ("ratios", "verdict", "outcome"),
    [
        (CONFIRMED, Verdict.CONFIRMED, Outcome.FAILED),
        (REFUTED, Verdict.REFUTED, Outcome.PASSED),
        (UNDECIDED, Verdict.UNDECIDED, Outcome.PASSED),
    ],
)
def test_a_steady_host_confirms_or_does_not(
    ratios: list[float], verdict: Verdict, outcome: Outcome
) -> None:
    for interleaved in (True, False):
        found = confirmation(ratios, interleaved=interleaved)
        assert (found.again[0].verdict, found.outcome) == (verdict, outcome)


@pytest.mark.parametrize(
    ("ratios", "interleaved", "repeated"),
    [
        (CONFIRMED, Outcome.FAILED, Outcome.ERRATIC),
        (REFUTED, Outcome.PASSED, Outcome.PASSED),
        (UNDECIDED, Outcome.ERRATIC, Outcome.ERRATIC),
    ],
)
def test_an_erratic_host_takes_the_blame_unless_the_versions_took_turns(
    ratios: list[float], interleaved: Outcome, repeated: Outcome
) -> None:
    assert confirmation(ratios, interleaved=True, signs=1).outcome is interleaved
    assert confirmation(ratios, interleaved=False, signs=1).outcome is repeated


def test_bounds_that_are_measured_again_together_are_adjusted() -> None:
    ratios = [0.96, 0.90, 0.94, 0.90, 0.93, 0.90]
    (alone,) = judge([FAILED], [paired(ratios)])
    many = judge([FAILED] * 10, [paired(ratios)] * 10)
    assert alone.p_value < many[0].p_value


def test_a_bound_from_above_is_judged_from_above() -> None:
    slower = Failed(
        Bound("p99_ms", above=True, percent=10.0), "cgi", FAILED.condition, FAILED.ratio
    )
    verdicts = [
        judge([slower], [paired(ratios)])[0].verdict
        for ratios in ([1.2, 1.21, 1.19, 1.2], [1.0, 1.01, 0.99, 1.0], [1.0, 1.3, 0.9, 1.2])
    ]
    assert verdicts == [Verdict.CONFIRMED, Verdict.REFUTED, Verdict.UNDECIDED]


def test_a_single_round_confirms_nothing() -> None:
    with pytest.raises(IsobenchError, match="fewer than two rounds"):
        paired([0.5])


def test_the_signs_of_an_erratic_host() -> None:
    steady = [Probe(1.0, 0.01), Probe(1.1, 0.01)]
    assert list(signs_of_host(steady, disturbed=1, trials=10)) == []
    assert list(signs_of_host([], disturbed=0, trials=0)) == []
    said = list(signs_of_host([Probe(1.0, 0.2), Probe(1.7, 0.1)], disturbed=3, trials=10))
    assert said == [
        "other work disturbed 3 of 10 trials",
        "the processor was 1.7 times slower before one run than before another",
        "others took 15% of the processor between the runs",
    ]


def test_a_version_that_differs_from_itself_is_a_sign() -> None:
    first = [100.0, 101.0, 99.0, 100.0]
    assert sign_of_itself(FAILED, [100.5, 99.5, 100.0, 101.0], first) is None
    assert sign_of_itself(FAILED, [100.0], first) is None
    for moved in (0.8, 1.25):
        said = sign_of_itself(FAILED, [moved * value for value in first], first)
        assert said is not None
        assert f"{moved - 1:+.0%}" in said


def test_rounds_that_are_all_alike_are_judged_too() -> None:
    (again,) = judge([FAILED], [paired([0.9, 0.9, 0.9])])
    assert again.verdict is Verdict.CONFIRMED
    assert math.isclose(again.ratio.low, 0.9)
