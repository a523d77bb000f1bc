"""The end of warm-up is where the numbers settle, and nowhere else."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from harness.stats.steady_state import SUB_WINDOWS, Settling, Steadiness, judge, mser, rates

Floats = NDArray[np.float64]


def noisy(levels: list[tuple[int, float]], seed: int = 1) -> list[float]:
    random = np.random.default_rng(seed)
    parts = [random.normal(level, 0.05, count) for count, level in levels]
    return [float(value) for value in np.concatenate(parts)]


def test_a_slow_start_is_cut_off() -> None:
    steady = mser(noisy([(40, 0.3), (160, 1.0)]))
    assert steady.share == pytest.approx(0.2, abs=0.03)


def test_a_ramp_is_cut_off_near_its_end() -> None:
    ramp = [(1, n / 30) for n in range(30)]
    share = mser(noisy([*ramp, (170, 1.0)])).share
    assert share is not None
    assert 0.08 <= share <= 0.2


def test_what_is_steady_from_the_start_is_hardly_cut() -> None:
    shares = [mser(noisy([(200, 1.0)], seed)).share for seed in range(40)]
    kept = [share for share in shares if share is not None]
    assert len(kept) >= 36
    assert np.median(kept) < 0.15


def test_what_never_settles_has_no_steady_state() -> None:
    assert mser(list(np.linspace(0, 1, 200) ** 3)).share is None
    assert mser(noisy([(160, 1.0), (40, 0.2)])).share is None


def test_too_short_to_tell() -> None:
    with pytest.raises(ValueError, match="19 observations are too few"):
        mser([1.0] * 19)


@given(st.lists(st.integers(1, 1000), min_size=20, max_size=80))
def test_the_cut_is_where_the_published_statistic_is_least(series: list[int]) -> None:
    """White, Cobb and Spratt 2000: the sum of squares about the mean of the rest, over (n - d)^2.

    In fractions, by the definition, of batches of five.
    """
    batches = [Fraction(sum(series[at : at + 5]), 5) for at in range(0, len(series) // 5 * 5, 5)]
    statistic = []
    for cut in range(len(batches) - 1):
        rest = batches[cut:]
        mean = sum(rest) / len(rest)
        statistic.append(float(sum((one - mean) ** 2 for one in rest) / len(rest) ** 2))
    least, half = min(statistic), len(batches) // 2
    found = mser(series).share
    if found is None:
        assert min(statistic[half + 1 :]) == pytest.approx(least, abs=1e-9)
    else:
        assert statistic[round(found * len(batches))] == pytest.approx(least, abs=1e-9)


@given(st.lists(st.floats(0.1, 1e6), min_size=20, max_size=80), st.floats(0.1, 100))
def test_the_unit_does_not_matter(series: list[float], factor: float) -> None:
    # Powers of two, so that no rounding decides between two cuts that are as good.
    scale = 2.0 ** round(np.log2(factor))
    assert mser(series) == mser([value * scale for value in series])


def test_rates_are_counted_in_sub_windows() -> None:
    found = rates(np.linspace(10, 12, 2000, endpoint=False), 10, 12)
    assert len(found) == SUB_WINDOWS
    assert found.mean() == pytest.approx(1000)


def completed(level: Callable[[Floats], Floats], peak: float = 4000, seed: int = 1) -> Floats:
    """Return the times, within 2.5 s, at which requests complete; `level` is a share of `peak`."""
    random = np.random.default_rng(seed)
    times = np.sort(random.uniform(0, 2.5, random.poisson(2.5 * peak)))
    return times[random.uniform(0, 1, len(times)) < level(times)]


def constant(times: Floats) -> Floats:
    return np.full_like(times, 0.9)


def slow_start(times: Floats) -> Floats:
    return np.where(times < 0.5, 0.5, 0.9)


def stalled(times: Floats) -> Floats:
    return np.where((times > 0.7) & (times < 1.2), 0.0, 0.9)


def growing(times: Floats) -> Floats:
    return 0.2 + 0.3 * times


@pytest.mark.parametrize("peak", [200.0, 1000.0, 4000.0])
@pytest.mark.parametrize("level", [constant, stalled])
def test_noise_and_stalls_are_no_start(peak: float, level: Callable[[Floats], Floats]) -> None:
    found = [judge(completed(level, peak, seed), 0, 2.5) for seed in range(100)]
    kept = [one for one in found if one.from_s == 0.0]
    assert len(kept) >= 96


def test_a_slow_start_is_found_to_a_sub_window() -> None:
    found = [judge(completed(slow_start, seed=seed), 0, 2.5).from_s for seed in range(30)]
    assert np.median([at for at in found if at]) == pytest.approx(0.5, abs=0.07)
    assert sum(bool(at) for at in found) >= 20


def test_what_goes_on_growing_never_settles() -> None:
    def last_third(times: Floats) -> Floats:
        return np.where(times > 1.8, 0.3, 0.9)

    assert judge(completed(last_third), 0, 2.5).steadiness is Steadiness.NONE
    found = [judge(completed(growing, seed=seed), 0, 2.5) for seed in range(30)]
    assert sum(one.from_s == 0.0 for one in found) == 0


def test_slow_targets_have_fewer_sub_windows_and_very_slow_ones_none() -> None:
    assert judge(np.linspace(0, 2.5, 110), 0, 2.5).steadiness is Steadiness.REACHED
    assert judge(np.linspace(0, 2.5, 99), 0, 2.5) == Settling(Steadiness.UNKNOWN)


def test_the_clock_does_not_begin_with_the_load() -> None:
    times = completed(slow_start) + 1000.0
    assert judge(times, 1000.0, 1002.5) == judge(completed(slow_start), 0, 2.5)
