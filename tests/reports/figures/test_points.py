"""A point for each target, with its interval."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pandas as pd

from harness.results.folder import ResultsFolder
from reports.figures import points, throughput
from reports.figures.points import Measure
from tests.reports.figures.test_throughput import texts

MakeFolder = Callable[..., Path]
RATE = Measure("rate", "rate", "", lambda _: "", str)


def test_an_interval_too_wide_to_draw_goes_on_beyond_the_figure(make_folder: MakeFolder) -> None:
    summary = ResultsFolder.open(make_folder(connections=("close",))).summary()
    summary.loc[summary["target"] == "cgi", "requests_per_second_low"] = 0.001
    summary.loc[summary["target"] == "dso", "requests_per_second_high"] = 1e9
    figure = throughput.throughput(summary)
    low, high = figure.axes[0].get_xlim()
    assert low > 1
    assert high < 1e6
    assert "14,200" in texts(figure)


def test_the_reach_is_that_of_the_intervals_within_reason() -> None:
    rows = pd.DataFrame(
        {"rate": [10.0, 20.0, None], "rate_low": [9.0, 1.0, None], "rate_high": [11.0, 25.0, None]}
    )
    assert points.reach_of(rows, RATE) == (10 / 3, 25.0)
    assert points.reach_of(rows[["rate"]], RATE) == (10.0, 20.0)
