"""A generator's part of a trial."""

from __future__ import annotations

import math

import numpy as np
import pytest

from harness.stats.histogram import Histogram
from workloads.catalog import find
from workloads.load.recorder import OpenLoadRecorder, Recorder
from workloads.load.schedule import Arrivals
from workloads.load.several_hosts import part
from workloads.load.spec import Load
from workloads.proof import Identity, Proof

LOAD = Load("127.0.0.1", 1, find("hello"), (Proof("t0001", Identity(1, 1, ())),), users=8, seed=7)


def record(recorder: Recorder, **context: float) -> None:
    recorder.on_request(response_time=2.0, exception=None, context=dict(context))


def test_an_open_load_is_divided_by_rate_and_each_part_has_times_of_its_own() -> None:
    whole = Load(**{**vars(LOAD), "arrivals": Arrivals(90.0)})
    parts = [part.share_of(whole, index, 3) for index in range(3)]
    assert [one.arrivals for one in parts] == [Arrivals(30.0)] * 3
    assert len({one.seed for one in parts}) == 3


def test_a_closed_load_is_left_for_locust_to_divide() -> None:
    assert part.share_of(LOAD, 1, 3).users == LOAD.users


def test_a_histogram_is_that_of_the_results_folder() -> None:
    latencies = np.array([0.2, 300.0, 301.4, 99_999.0, 7e7])
    text = part.text_of(latencies)
    assert (
        Histogram.from_text(text).values_us.tolist() == Histogram.of(latencies).values_us.tolist()
    )
    assert Histogram.from_text(text).count == 5


def test_of_a_closed_load_counts_what_was_answered_within_the_window() -> None:
    recorder = Recorder()
    for completed in (0.9, 1.1, 1.9, 2.1):
        record(recorder, completed=completed)
    seen = part.seen(recorder, (1.0, 2.0), is_open=False)
    assert seen["completed"] == 2
    assert seen["sum_us"] == pytest.approx(4000.0)
    assert "response" not in seen


def test_of_an_open_load_counts_what_was_to_be_sent_within_the_window() -> None:
    recorder = OpenLoadRecorder()
    record(recorder, intended=0.9, began=0.9, completed=1.1)
    record(recorder, intended=1.2, began=1.5, completed=1.6)
    recorder.give_up(np.array([1.9]), 6.9)
    seen = part.seen(recorder, (1.0, 2.0), is_open=True)
    assert (seen["offered"], seen["late"], seen["dropped"], seen["completed"]) == (2, 1, 1, 2)
    response = Histogram.from_text(seen["response"])
    assert response.count == 2
    assert response.quantile(1.0) == pytest.approx(5e6, rel=1e-3)


def test_without_round_trips_there_is_no_median() -> None:
    assert part.median_us([1.0, 9.0, 2.0]) == 2.0
    assert math.isnan(part.median_us([]))
