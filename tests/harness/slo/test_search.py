"""The search for a rate: what it finds of a simulated queue, and what it says when it cannot."""

from __future__ import annotations

import numpy as np
import pytest

from harness.results.analysis import slo as results
from harness.slo.promise import parse
from harness.slo.search import MORE_LOOKS, Found, Look, Outcome, Search
from tests.harness.slo.simulated import Queue, searched

SERVICE_S = 0.0005
SEARCHES = 40


@pytest.mark.parametrize("promise", ["mean < 2ms", "p99 < 5ms", "p90 < 10ms and p99 < 40ms"])
def test_nine_searches_of_ten_find_the_rate_to_within_a_tenth(promise: str) -> None:
    chance = np.random.default_rng(7)
    queue = Queue(SERVICE_S, chance, stalls=0.03)
    true = queue.threshold(parse(promise))
    found = [searched(queue, parse(promise)) for _ in range(SEARCHES)]
    near = [one for one in found if one.rate and abs(one.rate / true - 1) < 0.1]
    assert len(near) >= 0.9 * SEARCHES


def test_five_blocks_find_it_where_the_limit_is_near_the_time_of_one_request() -> None:
    """A p99 of four times the service time is hard to tell from 1,000 requests."""
    chance, promise = np.random.default_rng(7), parse("p99 < 2ms")
    queue = Queue(SERVICE_S, chance, stalls=0.03)
    true = queue.threshold(promise)
    studies = [[searched(queue, promise).rate or np.nan for _ in range(5)] for _ in range(12)]
    means = np.exp(np.log(studies).mean(axis=1))
    assert np.count_nonzero(abs(means / true - 1) < 0.1) >= 0.9 * len(studies)


def test_one_wrong_answer_is_come_back_from() -> None:
    """The host stalls during the first look, which is far below the threshold."""
    search, stalled = Search(1000.0), True
    while (rate := search.next_rate()) is not None:
        search = search.after(rate, Look.KEPT if rate < 900 and not stalled else Look.BROKEN)
        stalled = False
    found = search.found()
    assert found.outcome is Outcome.FOUND
    assert found.rate is not None
    assert found.rate > 0.9 * search.looks[0][0]


def test_a_search_is_bounded_and_stays_within_its_range() -> None:
    search = Search(1000.0, least=30.0)
    while (rate := search.next_rate()) is not None:
        assert 30 <= rate <= 1200
        search = search.after(rate, Look.BROKEN)
    assert len(search.looks) <= MORE_LOOKS
    assert search.found() == Found(Outcome.NEVER)


def test_no_rate_is_tried_that_the_generator_could_not_offer() -> None:
    search, bound = Search(10_000.0), 3000.0
    while (rate := search.next_rate()) is not None:
        tried = [one for one, look in search.looks if look is Look.BOUND]
        assert rate < min(tried, default=np.inf)
        search = search.after(rate, Look.BOUND if rate > bound else Look.KEPT)
    found = search.found()
    assert found.outcome is Outcome.AT_LEAST
    assert found.rate == max(one for one, look in search.looks if look is Look.KEPT)
    assert 0.7 * bound < found.rate <= bound


def test_a_threshold_well_below_the_generators_limit_is_found() -> None:
    search = Search(10_000.0)
    while (rate := search.next_rate()) is not None:
        look = Look.BOUND if rate > 5000 else Look.BROKEN if rate > 2000 else Look.KEPT
        search = search.after(rate, look)
    found = search.found()
    assert found.outcome is Outcome.FOUND
    assert found.rate == pytest.approx(2000, rel=0.1)


def test_nothing_is_known_where_the_generator_is_always_too_slow() -> None:
    search = Search(10_000.0)
    while (rate := search.next_rate()) is not None:
        search = search.after(rate, Look.BOUND)
    assert search.found() == Found(Outcome.UNKNOWN)


def test_a_search_goes_on_beyond_a_capacity_that_was_measured_too_low() -> None:
    search = Search(100.0)
    while (rate := search.next_rate()) is not None:
        search = search.after(rate, Look.KEPT if rate < 150 else Look.BROKEN)
    assert search.found().rate == pytest.approx(150, rel=0.1)
    search = Search(100.0)
    while (rate := search.next_rate()) is not None:
        search = search.after(rate, Look.KEPT)
    assert search.found() == Found(Outcome.AT_LEAST, search.looks[-1][0])


def test_a_rate_that_breaks_the_promise_outweighs_a_generator_that_was_late_once() -> None:
    search = Search(1000.0).after(700.0, Look.BROKEN).after(400.0, Look.KEPT)
    search = search.after(600.0, Look.BROKEN).after(560.0, Look.BOUND).after(500.0, Look.KEPT)
    found = search.found()
    assert found.outcome is Outcome.FOUND
    assert found.rate == pytest.approx(530, rel=0.1)


def test_reports_know_each_outcome() -> None:
    assert {results.FOUND, results.AT_LEAST, results.NEVER, results.UNKNOWN} == set(Outcome)
    assert results.KEPT == Look.KEPT
