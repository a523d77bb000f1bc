"""Rates of targets that took turns on a host whose speed changes."""

from __future__ import annotations

import math

import numpy as np
import pytest

from harness.stats.interleaved import Portions
from harness.stats.shared_speed import relative_rates

NOBODY = np.empty(0, dtype=bool)


def of(*slices: tuple[float, float, float]) -> Portions:
    begin, end, requests = np.array(slices, dtype=np.float64).reshape(-1, 3).T
    return Portions(begin, end, requests, 0.0, NOBODY, NOBODY, 0.0, 0.0)


def taking_turns(
    rates: list[float], speeds: list[float], scatter: float = 0.0, seed: int = 1
) -> list[Portions]:
    """Return slices of 0.1 s of targets in random order, each at one of the host's speeds."""
    random = np.random.default_rng(seed)
    slices: list[list[tuple[float, float, float]]] = [[] for _ in rates]
    for number, speed in enumerate(speeds):
        own = int(random.integers(len(rates))) if number >= len(rates) else number
        noise = math.exp(random.normal(0, scatter))
        at = number * 0.1
        slices[own].append((at, at + 0.1, 0.1 * rates[own] * speed * noise))
    return [of(*one) for one in slices]


def test_on_a_steady_host_a_ratio_is_that_of_the_rates() -> None:
    found = relative_rates(taking_turns([100, 50, 3], [1.0] * 100), baseline=0)
    assert found == pytest.approx([1, 0.5, 0.03])


def test_a_host_that_changes_its_speed_changes_no_ratio() -> None:
    """The host is half as fast from the third second on; means over all would be wrong."""
    baseline = of((0, 0.1, 100), (0.2, 0.3, 100), (3, 3.1, 50), (3.2, 3.3, 50))
    own = of((0.1, 0.2, 80), (3.1, 3.2, 40), (3.3, 3.4, 40))
    assert relative_rates([own, baseline], baseline=1) == pytest.approx([0.8, 1], rel=1e-3)


def test_other_targets_tell_how_fast_the_host_is_as_well() -> None:
    """Only its neighbour stands beside both the target and the baseline."""
    baseline = of((0, 0.1, 100), (0.2, 0.3, 100))
    neighbour = of((0.1, 0.2, 10), (0.3, 0.4, 10), (60, 60.1, 5), (60.2, 60.3, 5))
    own = of((60.1, 60.2, 20), (60.3, 60.4, 20))
    assert relative_rates([baseline, neighbour, own], 0) == pytest.approx([1, 0.1, 0.4], rel=0.01)


def test_ratios_lie_on_both_sides_of_the_truth_where_speeds_and_slices_scatter() -> None:
    random = np.random.default_rng(5)
    rates = [100.0, 60.0, 30.0, 5.0]
    found = []
    for seed in range(60):
        speeds = np.where(np.cumsum(random.random(200) < 0.2) % 2, 1.0, 1 / 1.8)
        found.append(relative_rates(taking_turns(rates, list(speeds), 0.2, seed), 0))
    errors = np.log(np.array(found) / [1, 0.6, 0.3, 0.05])
    assert np.abs(errors.mean(axis=0)).max() < 3 * errors.std(axis=0).max() / math.sqrt(60)


def test_a_target_without_requests_has_no_ratio() -> None:
    nothing, something = of(), of((0, 1, 10), (1, 2, 10))
    assert math.isnan(relative_rates([something, nothing], 0)[1])
    assert all(math.isnan(one) for one in relative_rates([something, nothing], 1))
    assert math.isnan(relative_rates([nothing], 0)[0])
    assert relative_rates([something], 0) == [1.0]


def test_a_single_slice_each_is_enough() -> None:
    assert relative_rates([of((0, 1, 10)), of((1, 2, 5))], 0) == pytest.approx([1, 0.5])
