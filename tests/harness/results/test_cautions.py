"""What weakens a result: which comes first, and whom it names."""

import pytest

from harness.results.cautions import cautions
from harness.results.summary import summarise
from tests.harness.results.test_summary import NO_LATENCY, frame, row, void


@pytest.mark.parametrize(
    ("targets", "named"),
    [
        (3, ": t0, t1, t2"),
        (5, ": all 5 targets"),
        (9, ": all 9 targets"),
        (-5, ": t0, t1, t2, t3, t4"),
        (-9, ": t0, t1, t2, t3, t4, t5 and 3 more"),
    ],
)
def test_a_caution_names_a_few_targets_and_counts_many(targets: int, named: str) -> None:
    """A negative number: beside one more target, which has what the others lack."""
    trials = [row(f"t{number}", 1, 100.0 - number) for number in range(abs(targets))]
    if targets < 0:
        trials += [row("x", block, 1.0) for block in (1, 2)]
    summary = summarise(frame(trials), NO_LATENCY)
    (about,) = (one.about for one in cautions(summary) if "one valid block" in one.about)
    assert about.endswith(named)


def test_the_gravest_comes_first() -> None:
    summary = summarise(frame([void("cgi", 1, "it lied"), row("dso", 1, 300.0)]), NO_LATENCY)
    failing = summary.assign(checked=1, failed_checks=[1, 0], unsteady=[1, 0])
    about = [caution.about for caution in cautions(failing)]
    assert [text.partition(":")[0] for text in about] == [
        "self-checks failed in 1 of 2 trials",
        "no valid trial",
        "in 1 of 1 trials the rate was still changing at the end, so there was no steady state",
        "only one valid block, so no interval",
    ]


def test_baseline_that_was_measured_in_vain_is_not_said_to_be_missing() -> None:
    summary = summarise(frame([void("dso", 1, "it lied"), row("cgi", 1, 300.0)]), NO_LATENCY)
    (caution,) = (one for one in cautions(summary) if "no ratios" in one.about)
    assert "dso has no valid trial" in caution.about
    assert "--modes" not in caution.advice
