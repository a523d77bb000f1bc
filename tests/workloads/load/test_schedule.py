"""Intended times of sending, and what is said of requests that missed them."""

from itertools import islice, pairwise, takewhile

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from workloads.load.schedule import (
    Account,
    Arrivals,
    Pattern,
    Schedule,
    Stretch,
    Times,
    account,
    offsets,
)

COUNT = 20_000


def drawn(rate: float, pattern: Pattern = "poisson", seed: int = 1, count: int = COUNT) -> Times:
    return np.array(list(islice(offsets(Arrivals(rate, pattern), seed), count)))


def test_the_gaps_of_a_poisson_process_are_exponential() -> None:
    gaps = np.diff(drawn(500.0), prepend=0.0)
    assert gaps.mean() == pytest.approx(1 / 500, rel=0.03)
    assert stats.kstest(gaps, "expon", args=(0, 1 / 500)).pvalue > 0.01


def test_the_gaps_of_a_poisson_process_do_not_know_of_each_other() -> None:
    gaps = np.diff(drawn(500.0))
    assert abs(stats.pearsonr(gaps[1:], gaps[:-1]).statistic) < 0.03


def test_uniform_gaps_are_all_alike() -> None:
    times = drawn(500.0, "uniform")
    assert np.diff(times) == pytest.approx(1 / 500)
    assert 0 <= times[0] < 1 / 500


@pytest.mark.parametrize("pattern", ["poisson", "uniform"])
def test_the_seed_decides(pattern: Pattern) -> None:
    first = drawn(50.0, pattern, seed=7)
    assert first.tolist() == drawn(50.0, pattern, seed=7).tolist()
    assert first[0] != drawn(50.0, pattern, seed=8)[0]


@given(st.floats(0.001, 1e6), st.sampled_from(["poisson", "uniform"]), st.integers(0, 2**40))
def test_times_ascend_and_have_no_end(rate: float, pattern: Pattern, seed: int) -> None:
    times = drawn(rate, pattern, seed, count=3000).tolist()
    assert len(times) == 3000
    assert all(earlier <= later for earlier, later in pairwise(times))


def test_steps_and_ramps_are_evenly_filled() -> None:
    stretches = (Stretch(2.0, 100, 100), Stretch(2.0, 300, 300), Stretch(4.0, 300, 100))
    arrivals = Arrivals(100.0, "uniform", stretches)
    times = np.array(list(islice(offsets(arrivals, 1), 1700)))
    counts, _ = np.histogram(times, bins=[0, 2, 4, 6, 8, 9])
    # The ramp's first half has a mean rate of 250, its second of 150; then it goes on at 100.
    assert counts == pytest.approx([200, 600, 500, 300, 100], abs=1)


def test_with_a_changing_rate_it_is_a_poisson_process_still() -> None:
    ramp = Stretch(100.0, 10.0, 190.0)
    times = np.array(
        list(takewhile(lambda time: time < 100, offsets(Arrivals(1.0, stretches=(ramp,)), 3)))
    )
    assert len(times) == pytest.approx(ramp.requests, abs=3 * np.sqrt(ramp.requests))
    # How many were due on average by then: the gaps of that are exponential, with mean 1.
    due = 10 * times + 0.9 * times**2
    assert stats.kstest(np.diff(due, prepend=0.0), "expon").pvalue > 0.01


@given(
    st.lists(
        st.builds(Stretch, st.floats(0.1, 100), st.floats(0.1, 1e4), st.floats(0.1, 1e4)),
        min_size=1,
        max_size=4,
    )
)
def test_a_changing_rate_goes_on_without_a_leap_back(stretches: list[Stretch]) -> None:
    arrivals = Arrivals(5.0, stretches=tuple(stretches))
    times = list(islice(offsets(arrivals, 1), 2000))
    assert all(earlier <= later + 1e-9 for earlier, later in pairwise(times))
    for stretch in stretches:
        assert stretch.due_s(stretch.requests) == pytest.approx(stretch.seconds)


def test_a_schedule_is_taken_one_by_one_and_can_be_looked_up() -> None:
    schedule = Schedule(Arrivals(100.0), seed=3, begins_at=1000.0)
    taken = [schedule.take() for _ in range(50)]
    assert taken == (1000.0 + drawn(100.0, seed=3, count=50)).tolist()
    assert schedule.within(taken[10], taken[20]).tolist() == taken[10:20]
    assert len(schedule.within(1010.0, 1020.0)) == pytest.approx(1000, rel=0.2)
    assert schedule.within(0.0, 1000.0).tolist() == []


NAN = float("nan")


def test_who_is_late_and_who_is_dropped() -> None:
    rows = np.array(
        [
            (10.0005, 500.0, 9.9),  # of the warm-up
            (10.0010, 1000.0, 10.0),  # in time
            (10.1020, 1500.0, 10.1),  # half a millisecond late: that is in time
            (10.5000, 100_000.0, 10.2),  # 200 ms late
            (15.0000, 1000.0, 10.9),  # answered after the window
            (16.0000, NAN, 10.95),  # never answered
            (16.0000, 1000.0, 11.0),  # of after the window
        ]
    )
    found = account(rows, 10.0, 11.0)
    assert found.response_us == pytest.approx([1000, 2000, 300_000, 4_100_000, 5_050_000])
    assert found.service_us.tolist() == [1000.0, 1500.0, 100_000.0, 1000.0]
    assert (found.late, found.dropped, found.completed) == (2, 1, 4)
    assert found.late_worst_ms == pytest.approx(4099)


@pytest.mark.parametrize("rows", [np.empty((0, 3)), np.array([(12.0, NAN, 10.5)])])
def test_nobody_was_answered(rows: Times) -> None:
    found = account(rows, 10.0, 11.0)
    assert isinstance(found, Account)
    assert (found.late, found.late_worst_ms, found.completed) == (0, 0.0, 0)
    assert found.dropped == len(rows) == len(found.response_us)


@given(st.lists(st.floats(0.0, 4.0), min_size=1, max_size=50), st.integers(1, 5))
def test_a_queue_behind_a_slow_server_shows_in_full(gaps: list[float], service_s: int) -> None:
    """One connection and a server that always takes as long: Lindley's recursion."""
    intended = 100.0 + np.cumsum(gaps)
    rows, free_at = [], 0.0
    for time in intended.tolist():
        free_at = max(time, free_at) + service_s
        rows.append((free_at, service_s * 1e6, time))
    found = account(np.array(rows), 100.0, 1e6)
    waits = np.array([row[0] - row[2] for row in rows])
    assert found.response_us == pytest.approx(waits * 1e6)
    assert found.late_worst_ms == pytest.approx((waits.max() - service_s) * 1e3, abs=1e-3)
