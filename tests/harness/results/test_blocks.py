"""Which trials count in a block, and what they give."""

from __future__ import annotations

import pandas as pd
import pytest

from harness.errors import IsobenchError
from harness.results import blocks, schema
from harness.results.blocks import histograms
from harness.results.summary import summarise
from tests.harness.results.test_summary import (
    CONDITION,
    NO_LATENCY,
    frame,
    latency_rows,
    only,
    row,
    void,
)

DISTURBED = "others took 40% of the server's core"


def again(first: str, second: str) -> pd.DataFrame:
    return frame(
        [
            row("dso", 1, 10.0, disturbed=first),
            row("dso", 1, 20.0, trial="/2", attempt=2, disturbed=second),
            row("dso", 2, 30.0, disturbed=""),
            void("cgi", 1),
        ]
    )


@pytest.mark.parametrize(
    ("first", "second", "rate", "left"),
    [
        (DISTURBED, "", 20.0, 0),
        (DISTURBED, DISTURBED, 20.0, 1),
        ("", DISTURBED, 10.0, 0),
    ],
)
def test_the_undisturbed_attempt_counts_else_the_last(
    first: str, second: str, rate: float, left: int
) -> None:
    trials = again(first, second)
    counted = blocks.counted(trials)
    assert counted["requests_per_second"].tolist()[:2] == [rate, 30.0]
    assert len(counted) == 3  # the void trial is still there
    assert blocks.counted(counted).equals(counted)
    summary = summarise(trials, NO_LATENCY)
    assert only(summary, "dso")["trials"] == 2
    assert only(summary, "dso")["disturbed"] == left
    assert only(summary, "dso")["verdict"] == "noisy"


def test_latencies_are_of_the_attempt_that_counts() -> None:
    rows = [
        row("dso", 1, 10.0, disturbed=DISTURBED),
        row("dso", 1, 10.0, trial="/2", attempt=2, disturbed=""),
    ]
    latency: pd.DataFrame = schema.to_table(
        "latency",
        [latency_rows(one, [us], "service") for one, us in zip(rows, (10.0, 20.0), strict=True)],
    ).to_pandas()
    assert histograms(frame(rows), latency)[("dso", CONDITION)].values_us.tolist() == [20]


def test_histograms_merge_good_trials_and_prefer_response_time() -> None:
    rows = [row("dso", 0, 10), row("dso", 1, 10), void("dso", 2)]
    latency: pd.DataFrame = schema.to_table(
        "latency",
        [
            latency_rows(rows[0], [10.0], "service"),
            latency_rows(rows[0], [1000.0], "response"),
            latency_rows(rows[1], [20.0], "service"),
            latency_rows(rows[2], [30.0], "service"),
        ],
    ).to_pandas()
    merged = histograms(frame(rows), latency)
    assert merged[("dso", CONDITION)].values_us.tolist() == [20, 1000]


@pytest.mark.parametrize("text", ["", "x", "\N{SNOWMAN}", "HISTFAAAAB4=", None])
def test_a_histogram_that_is_none_is_damage(text: str) -> None:
    with pytest.raises(IsobenchError, match=r"column hdr .* is damaged") as caught:
        blocks.merged_histogram([text])
    assert caught.value.hint


def test_what_is_no_number_of_requests_is_not_counted() -> None:
    trials = frame([row("dso", block, rate) for block, rate in enumerate((10.0, 30.0, 20.0), 1)])
    trials.loc[1, "requests_per_second"] = float("inf")
    assert blocks.per_block(trials, "requests_per_second").tolist() == [10.0, 20.0]
