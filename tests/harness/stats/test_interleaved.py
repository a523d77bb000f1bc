"""Rates and ratios of what was loaded in slices of time."""

from __future__ import annotations

import math

import numpy as np
import pytest
from numpy.typing import NDArray

from harness.stats.interleaved import Portions, local_ratio, mser, portions

USERS = 8
NOBODY = np.empty(0, dtype=bool)


def closed_loop(
    begins: list[float], length_s: float, service_s: float, delay_s: float = 0.0
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return when requests were sent and completed, by users in a queue before one server.

    After each switch the first request waits for `delay_s` more.
    """
    sent, completed = [], []
    for begin in begins:
        asked = [begin] * USERS
        free = begin + delay_s
        while asked:
            at = asked.pop(0)
            free = max(free, at) + service_s
            sent.append(at)
            completed.append(free)
            if free < begin + length_s:
                asked.append(free)
    return np.array(sent), np.array(completed)


@pytest.mark.parametrize("service_s", [0.0001, 0.001, 0.01, 0.025])
def test_the_rate_is_the_servers_however_many_requests_a_slice_has(service_s: float) -> None:
    length_s = max(0.02, 16 * service_s)
    begins = [number * 3 * length_s for number in range(20)]
    sent, completed = closed_loop(begins, length_s, service_s)
    found = portions(sent, completed, begins, [length_s] * 20, USERS)
    assert found.per_second == pytest.approx(1 / service_s, rel=0.01)
    assert len(found.begin) == 20


def test_a_cold_start_of_each_slice_is_left_out() -> None:
    begins = [number * 0.1 for number in range(40)]
    sent, completed = closed_loop(begins, 0.02, 0.0001, delay_s=0.004)
    found = portions(sent, completed, begins, [0.02] * 40, USERS)
    assert 0.003 <= found.left_out_s <= 0.008
    assert found.per_second == pytest.approx(10_000, rel=0.01)


def test_nothing_is_left_out_where_nothing_is_cold() -> None:
    begins = [number * 0.1 for number in range(40)]
    found = portions(*closed_loop(begins, 0.02, 0.0001), begins, [0.02] * 40, USERS)
    assert found.left_out_s <= 0.001


def test_requests_of_before_and_slices_without_any_count_nowhere() -> None:
    sent, completed = closed_loop([1.0], 0.2, 0.01)
    found = portions(sent - 0.9, completed - 0.9, [1.0, 2.0], [0.2, 0.2], USERS)
    assert (len(found.begin), found.seconds) == (0, 0.0)
    assert math.isnan(found.per_second)


def test_users_send_for_the_length_of_a_slice_only() -> None:
    sent, completed = closed_loop([0.0], 0.16, 0.01)
    found = portions(sent, completed, [0.0], [0.16], USERS)
    assert found.sending_s == pytest.approx(0.16)
    assert found.occupied_s == pytest.approx(0.24, abs=0.011)
    assert found.whole.all()


def of(*slices: tuple[float, float, float]) -> Portions:
    begin, end, requests = np.array(slices, dtype=np.float64).reshape(-1, 3).T
    return Portions(begin, end, requests, 0.0, NOBODY, NOBODY, 0.0, 0.0)


def test_a_ratio_is_to_the_baselines_rate_at_the_same_time() -> None:
    """The host is half as fast from the third second on; a mean over all would be wrong."""
    baseline = of((0, 0.1, 100), (0.2, 0.3, 100), (3, 3.1, 50), (3.2, 3.3, 50))
    own = of((0.1, 0.2, 80), (3.1, 3.2, 40), (3.3, 3.4, 40))
    assert local_ratio(own, baseline) == pytest.approx(0.8)


def test_without_a_baseline_there_is_no_ratio() -> None:
    assert math.isnan(local_ratio(of((0, 1, 10)), of()))
    assert math.isnan(local_ratio(of(), of((0, 1, 10))))


def test_mser_leaves_out_what_is_unlike_the_rest() -> None:
    assert mser(np.array([0.0, 2.0, 9.0, 10.0, 10.0, 9.0, 10.0, 10.0, 9.0, 10.0])) == 3
    assert mser(np.full(10, 5.0)) == 0
