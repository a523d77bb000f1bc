"""What noise does, from made-up windows."""

from __future__ import annotations

from dataclasses import asdict

import pandas as pd
import pytest

from harness.neighbour.noises import EVERY
from harness.results.analysis.neighbour import NOISES, Effect, effects
from harness.results.rows import NeighbourRow
from harness.stats.histogram import Histogram


def window(noise: str, block: int = 1, p99_ms: float = 2.0, **changes: object) -> NeighbourRow:
    fields = {
        "target": "dso", "runs_as": "server", "noise": noise, "limits": "none", "block": block,
        "position": 0, "requests": 100, "p50_ms": 1.0, "p99_ms": p99_ms, "errors": 0, "dropped": 0,
        "noise_done": 0 if noise == "alone" else 8, "noise_refused": 0,
        "hdr": Histogram.of([1000.0] * 90 + [1000 * p99_ms] * 10).to_text(), "verdict": "ok",
    }  # fmt: skip
    return NeighbourRow(**{**fields, **changes})  # type: ignore[arg-type]  # made up by tests


def found(*windows: NeighbourRow) -> list[Effect]:
    return effects(pd.DataFrame([asdict(one) for one in windows]))


def test_the_kinds_of_noise_are_shown_in_the_order_in_which_they_are_declared() -> None:
    assert tuple(noise.name for noise in EVERY) == NOISES


def test_a_window_is_compared_with_the_one_alone_in_its_block() -> None:
    (effect,) = found(
        window("alone", 1, 2.0), window("cpu", 1, 6.0), window("alone", 2, 4.0),
        window("cpu", 2, 12.0),
    )  # fmt: skip
    assert effect.ratio.mid == pytest.approx(3.0)
    assert effect.ratio.low == pytest.approx(3.0)
    assert (effect.blocks, effect.requests, effect.is_shown) == (2, 200, True)
    assert effect.p99_ms == pytest.approx(12.0, rel=0.01)
    assert effect.is_bound  # 200 requests do not tell a p99


def test_an_interval_that_holds_one_shows_nothing() -> None:
    (effect,) = found(
        window("alone", 1), window("disk", 1, 1.0), window("alone", 2), window("disk", 2, 4.0)
    )
    assert effect.ratio.low < 1 < effect.ratio.high
    assert not effect.is_shown


def test_targets_that_scatter_alike_narrow_each_others_intervals() -> None:
    def of(count: int) -> Effect:
        windows = []
        for number in range(count):
            target = f"mode{number}"
            windows += [window("alone", block, target=target) for block in (1, 2)]
            step = 1.1 + 0.02 * number
            windows += [window("cpu", 1, 6.0, target=target)]
            windows += [window("cpu", 2, 6.0 * step, target=target)]
        return found(*windows)[0]

    alone, among = of(1), of(12)
    assert alone.ratio.mid == pytest.approx(among.ratio.mid)
    assert among.ratio.high / among.ratio.low < alone.ratio.high / alone.ratio.low
    assert not alone.is_shown or alone.ratio.low < among.ratio.low
    assert among.is_shown


def test_requests_without_a_right_answer_are_lost() -> None:
    (effect,) = found(window("alone"), window("slow", errors=10, dropped=40))
    assert effect.lost == 0.5
    assert effect.is_shown


def test_noise_that_was_refused_is_told() -> None:
    refused = window("memory", noise_done=0, noise_refused=12)
    held_back = window("forks", noise_done=3, noise_refused=9)
    memory, forks = found(window("alone"), held_back, refused)
    assert (memory.noise, memory.refused) == ("memory", 1.0)
    assert forks.refused == 0.75


def test_limits_have_a_window_alone_of_their_own() -> None:
    without, with_limits = found(
        window("alone", limits="rlimits", p99_ms=4.0), window("disk", limits="rlimits", p99_ms=4.0),
        window("alone"), window("disk", p99_ms=6.0),
    )  # fmt: skip
    assert [without.limits, with_limits.limits] == ["none", "rlimits"]
    assert without.ratio.mid == pytest.approx(3.0)
    assert with_limits.ratio.mid == pytest.approx(1.0)


def test_a_void_window_is_left_out_and_said() -> None:
    nothing = {
        "requests": None, "p50_ms": None, "errors": None, "dropped": None,
        "noise_done": None, "noise_refused": None, "hdr": None, "verdict": "void: it died",
    }  # fmt: skip
    (effect,) = found(window("alone"), window("cpu", **nothing))  # type: ignore[arg-type]
    assert effect.failed == "it died"
    assert effect.ratio.mid != effect.ratio.mid
    assert (effect.blocks, effect.refused, effect.is_shown) == (0, None, False)


def test_without_windows_there_is_no_effect() -> None:
    assert effects(pd.DataFrame()) == []
