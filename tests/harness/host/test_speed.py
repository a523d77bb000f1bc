"""The speeds of processors that are made up, and of this one."""

from __future__ import annotations

import math
import os

import numpy as np
import pytest
from numpy.typing import NDArray

from harness.host.speed import Samples, Speeds, effort, speeds, watch

SAMPLE_S = 0.001


def telegraph(
    seconds: float, dwell_fast_s: float, dwell_slow_s: float, seed: int, step_s: float = SAMPLE_S
) -> NDArray[np.bool_]:
    """Return for each step whether a processor with exponential dwell times is slow."""
    random = np.random.default_rng(seed)
    slow = np.zeros(round(seconds / step_s), dtype=bool)
    place, state = 0, bool(random.random() < dwell_slow_s / (dwell_fast_s + dwell_slow_s))
    while place < len(slow):
        stay = random.exponential(dwell_slow_s if state else dwell_fast_s)
        end = place + max(1, round(stay / step_s))
        slow[place:end] = state
        place, state = end, not state
    return slow


def seen(
    slow: NDArray[np.bool_], ratio: float, scatter: float = 0.02, spikes: float = 0.0, seed: int = 1
) -> Samples:
    """Return samples of such a processor; `spikes` of them take three times as long."""
    random = np.random.default_rng(seed)
    took = SAMPLE_S * np.where(slow, ratio, 1.0) * random.lognormal(0, scatter, len(slow))
    took *= np.where(random.random(len(slow)) < spikes, 3.0, 1.0)
    return Samples(np.cumsum(took), took, 0.0)


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize(("fast_s", "slow_s"), [(0.3, 0.1), (1.0, 1.0), (0.05, 0.1)])
@pytest.mark.parametrize("ratio", [1.3, 1.8])
def test_two_speeds_are_found_with_their_share_and_changes(
    fast_s: float, slow_s: float, ratio: float, seed: int
) -> None:
    slow = telegraph(20, fast_s, slow_s, seed)
    samples = seen(slow, ratio, spikes=0.01)
    found = speeds(samples)
    real = int((slow[1:] != slow[:-1]).sum())
    share = samples.took_s[slow].sum() / samples.took_s.sum()
    assert found.ratio == pytest.approx(ratio, rel=0.02)
    assert found.slow_share == pytest.approx(share, abs=0.03)
    # A stay of a few samples is not told from a few interruptions.
    assert 0.7 * real - 2 <= found.changes <= real + 2
    assert found.dwell_slow_s * found.changes / 2 == pytest.approx(
        found.slow_share * found.seconds, rel=0.3
    )


@pytest.mark.parametrize("scatter", [0.005, 0.05, 0.2])
@pytest.mark.parametrize("spikes", [0.0, 0.05])
def test_scatter_and_interruptions_are_no_second_speed(scatter: float, spikes: float) -> None:
    found = speeds(seen(np.zeros(5_000, dtype=bool), 1.0, scatter, spikes))
    assert (found.ratio, found.changes, found.slow_share) == (1.0, 0, 0.0)
    assert math.isnan(found.dwell_fast_s)
    assert found.scatter == pytest.approx(scatter, rel=0.2)


def test_speeds_that_nearly_agree_are_one() -> None:
    assert not speeds(seen(telegraph(5, 0.2, 0.2, 1), 1.05, 0.01)).noisy


def test_one_change_is_seen_and_one_of_the_dwell_times_is_unknown() -> None:
    slow = np.arange(4_000) >= 3_000
    found = speeds(seen(slow, 2.0))
    assert found.changes == 1
    assert found.dwell_fast_s == pytest.approx(3.0, rel=0.05)
    assert math.isnan(found.dwell_slow_s)
    assert effort(found, 0.05, 0.02).pairs >= 2


def host(**changes: float) -> Speeds:
    usual = {
        "seconds": 10.0, "ratio": 1.8, "slow_share": 0.5, "dwell_fast_s": 0.5, "dwell_slow_s": 0.5,
        "scatter": 0.0, "sample_s": 0.001, "away": 0.0,
    }  # fmt: skip
    return Speeds(changes=20, **{**usual, **changes})


@pytest.mark.parametrize("slice_s", [0.02, 0.2, 2.0])
@pytest.mark.parametrize("in_turn", [True, False])
def test_the_model_says_how_far_pairs_of_slices_scatter(slice_s: float, in_turn: bool) -> None:
    # Logarithms of the speed, averaged over slices, of a long series.
    logs = np.where(telegraph(4_000, 0.5, 0.5, 5, step_s=0.005), math.log(1.8), 0.0)
    means = logs.reshape(-1, round(slice_s / 0.005)).mean(axis=1)
    others = means[1::2] if in_turn else np.roll(means[1::2], len(means) // 4)
    variance = float(np.var(means[::2] - others))
    width = 0.001  # so that many pairs are needed, and rounding tells nothing
    pairs = effort(host(), width, slice_s, in_turn=in_turn).pairs
    assert pairs == pytest.approx(variance * (1.96 / math.log1p(width)) ** 2, rel=0.2)


def test_short_turns_take_less_load_than_long_trials() -> None:
    short, long = effort(host(), 0.05, 0.02), effort(host(), 0.05, 1.0)
    apart = effort(host(), 0.05, 1.0, in_turn=False)
    assert short.seconds < long.seconds / 10
    assert long.seconds < apart.seconds


def test_twice_as_sure_takes_four_times_as_long() -> None:
    wide, narrow = (effort(host(), width, 1.0).seconds for width in (0.02, 0.01))
    assert narrow == pytest.approx(4 * wide, rel=0.05)


def test_a_steady_host_takes_a_pair_or_two() -> None:
    steady = speeds(seen(np.zeros(5_000, dtype=bool), 1.0, 0.01))
    assert effort(steady, 0.05, 0.02).pairs == 2


def test_this_processor_has_a_speed_and_the_caller_comes_back() -> None:
    before = os.sched_getaffinity(0)
    samples = watch([max(before)], 0.1)
    found = speeds(samples)
    assert os.sched_getaffinity(0) == before
    assert found.seconds >= 0.1
    assert found.ratio >= 1
    assert 0 <= found.away < 1
