"""Histograms lose nothing on the way to disk, and quantiles keep three digits."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hdrh.histogram import HdrHistogram
from hypothesis import given
from hypothesis import strategies as st

from harness.stats.histogram import HIGHEST_US, Histogram

latencies = st.lists(st.floats(0, 59_000_000), min_size=1, max_size=200)


@given(latencies)
def test_text_round_trip_keeps_everything(values: list[float]) -> None:
    histogram = Histogram.of(values)
    again = Histogram.from_text(histogram.to_text())
    assert again.values_us.tolist() == histogram.values_us.tolist()
    assert again.counts.tolist() == histogram.counts.tolist()


@given(latencies, latencies)
def test_merging_is_counting_together(one: list[float], two: list[float]) -> None:
    merged = Histogram.merged([Histogram.of(one), Histogram.of(two)])
    together = Histogram.of(one + two)
    assert merged.values_us.tolist() == together.values_us.tolist()
    assert merged.counts.tolist() == together.counts.tolist()


@given(latencies, st.floats(0.001, 1))
def test_quantile_is_within_three_digits(values: list[float], share: float) -> None:
    rank = min(len(values), max(1, math.ceil(share * len(values))))
    exact = max(1.0, sorted(values)[rank - 1])
    assert Histogram.of(values).quantile(share) == pytest.approx(exact, rel=1.01e-3, abs=1)


def test_a_reader_of_another_library_sees_the_same() -> None:
    random = np.random.default_rng(1)
    histogram = Histogram.of(random.lognormal(6, 1, 50_000))
    theirs = HdrHistogram.decode(histogram.to_text())
    assert theirs.get_total_count() == 50_000
    assert theirs.get_value_at_percentile(99) == histogram.quantile(0.99)


@given(latencies)
def test_a_value_is_the_highest_that_counts_as_the_same(values: list[float]) -> None:
    histogram = Histogram.of(values)
    theirs = HdrHistogram.decode(histogram.to_text())
    for value in histogram.values_us.tolist():
        assert value == theirs.get_highest_equivalent_value(value)
    assert set(histogram.values_us.tolist()) == {
        theirs.get_highest_equivalent_value(max(1, round(value))) for value in values
    }


def test_below_a_microsecond_counts_as_one_and_above_a_minute_as_a_minute() -> None:
    histogram = Histogram.of([0.0, 0.2, 1e12])
    assert histogram.at_rank(1) == histogram.at_rank(2) == 1
    assert histogram.at_rank(3) == pytest.approx(HIGHEST_US, rel=1e-3)


@pytest.mark.parametrize("bad", [-1.0, math.nan])
def test_a_wrong_clock_is_refused(bad: float) -> None:
    with pytest.raises(ValueError, match="latency"):
        Histogram.of([10.0, bad])


def test_nothing() -> None:
    nothing = Histogram.merged([])
    assert nothing.count == 0
    assert math.isnan(nothing.quantile(0.5))
    with pytest.raises(ValueError, match="rank"):
        nothing.at_rank(1)
    assert Histogram.of([]).count == 0


def test_damaged_text() -> None:
    with pytest.raises(ValueError, match="not a histogram"):
        Histogram.from_text("HISTnonsense")
