"""Rates and ratios of what was loaded in slices of time."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from harness.stats.interleaved import Load, cold_s, portions

USERS = 8


def closed_loop(
    begins: list[float], length_s: float, service_s: float, delay_s: float = 0.0
) -> Load:
    """Return a load by users in a queue before one server.

    After each switch the first request waits for `delay_s` more.
    """
    sent: list[float] = []
    completed: list[float] = []
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
    return Load(np.array(sent), np.array(completed), begins, [length_s] * len(begins), USERS)


@pytest.mark.parametrize("service_s", [0.0001, 0.001, 0.01, 0.025])
def test_the_rate_is_the_servers_however_many_requests_a_slice_has(service_s: float) -> None:
    length_s = max(0.02, 16 * service_s)
    begins = [number * 3 * length_s for number in range(20)]
    found = portions(closed_loop(begins, length_s, service_s), 0.0)
    assert found.per_second == pytest.approx(1 / service_s, rel=0.01)
    assert len(found.begin) == 20


def test_a_cold_start_of_each_slice_is_left_out() -> None:
    begins = [number * 0.1 for number in range(40)]
    load = closed_loop(begins, 0.02, 0.0001, delay_s=0.004)
    left_out_s = cold_s([load])
    assert 0.003 <= left_out_s <= 0.008
    found = portions(load, left_out_s)
    assert found.left_out_s == left_out_s
    assert found.per_second == pytest.approx(10_000, rel=0.01)


def test_nothing_is_left_out_where_nothing_is_cold() -> None:
    begins = [number * 0.1 for number in range(40)]
    assert cold_s([closed_loop(begins, 0.02, 0.0001)]) <= 0.001


def test_targets_together_decide_what_is_left_out_of_each() -> None:
    """Each target has the same weight, whether it is asked often or seldom."""
    begins = [number * 0.1 for number in range(40)]
    cold = closed_loop(begins, 0.02, 0.0001, delay_s=0.004)
    warm = closed_loop(begins, 0.02, 0.00001)
    assert cold_s([warm, cold]) == pytest.approx(cold_s([cold]), abs=0.002)


def test_the_baselines_many_slices_do_not_hide_that_others_are_cold() -> None:
    begins = [number * 0.1 for number in range(40)]
    warm = closed_loop(begins, 0.02, 0.0001)
    cold = closed_loop(begins[:4], 0.02, 0.0001, delay_s=0.001)
    assert cold_s([warm, cold, cold]) == cold_s([cold]) == 0.001


def test_half_a_slice_is_left_out_at_most() -> None:
    begins = [number * 0.1 for number in range(40)]
    assert cold_s([closed_loop(begins, 0.02, 0.0001, delay_s=0.015)]) == 0.01


def test_of_shorter_slices_than_those_that_were_looked_at_half_is_left_out_at_most() -> None:
    begins = [number * 0.1 for number in range(40)]
    found = portions(closed_loop(begins, 0.02, 0.0001), 0.2)
    assert found.left_out_s == 0.01
    assert found.per_second == pytest.approx(10_000, rel=0.01)


def test_a_slow_target_has_nothing_left_out() -> None:
    begins = [number * 0.5 for number in range(5)]
    slow = closed_loop(begins, 0.16, 0.01)
    assert not slow.is_quick
    assert cold_s([slow]) == 0.0
    assert portions(slow, 0.05).left_out_s == 0.0


def test_requests_of_before_and_slices_without_any_count_nowhere() -> None:
    load = closed_loop([0.1], 0.2, 0.01)
    found = portions(replace(load, begins=[1.0, 2.0], lengths=[0.2, 0.2]), 0.0)
    assert (len(found.begin), found.seconds) == (0, 0.0)
    assert math.isnan(found.per_second)


def test_users_send_for_the_length_of_a_slice_only() -> None:
    found = portions(closed_loop([0.0], 0.16, 0.01), 0.0)
    assert found.sending_s == pytest.approx(0.16)
    assert found.occupied_s == pytest.approx(0.24, abs=0.011)
    assert found.whole.all()
