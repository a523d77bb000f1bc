"""What noise does to a quiet tenant, from the windows of neighbour.parquet. Pure.

The p99 beside a noise is compared with the p99 alone of the same block: on the same target, under
the same limits, from the same start of the server. The interval is over the blocks, and since these
are few it also goes by how the ratios of the other targets scatter under the same noise (moderated
t, see `moderation`). A p99 itself is that of all blocks' requests together.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import pandas as pd

from harness.results.blocks import merged_histogram
from harness.stats.intervals import Interval, geometric_interval, quantile_ranks
from harness.stats.moderation import common_scatter

ALONE = "alone"
NOISES = ("flood", "cpu", "memory", "forks", "disk", "slow")
"""All kinds of noise, in the order in which they are shown."""
UNLIMITED = "none"
P99 = 0.99


@dataclass(frozen=True)
class Effect:
    """What a noise did to the quiet tenant of a target.

    `ratio` is p99 beside the noise to p99 alone. `p99_ms` is NaN where no window counts; where
    `is_bound`, too few requests were sent to know it, and it is the longest time. `lost` is the
    share of the quiet tenant's requests that got no right answer, `refused` that of the noisy
    tenant's; None where it made none. `failed` says why windows are void.
    """

    target: str
    runs_as: str
    noise: str
    limits: str
    blocks: int
    requests: int
    alone_ms: float
    p99_ms: float
    is_bound: bool
    ratio: Interval
    lost: float
    refused: float | None
    failed: str = ""

    @property
    def is_shown(self) -> bool:
        """Whether the interval says that the noise made a difference."""
        return self.ratio.low > 1 or self.lost > 0


def effects(windows: pd.DataFrame) -> list[Effect]:
    """Return the effects of all noises: without limits first, by target, in the order of noises."""
    if windows.empty:
        return []
    return sorted(
        _effects(windows),
        key=lambda one: (one.limits != UNLIMITED, one.target, NOISES.index(one.noise)),
    )


def _effects(windows: pd.DataFrame) -> Iterator[Effect]:
    every = {
        (str(target), str(limits), str(noise)): rows
        for (target, limits, noise), rows in windows.groupby(["target", "limits", "noise"])
    }
    noisy = [key for key in every if key[2] != ALONE]
    alone = {key[:2]: _good(rows) for key, rows in every.items() if key[2] == ALONE}
    ratios = {key: _ratios(_good(every[key]), alone.get(key[:2])) for key in noisy}
    alike: dict[tuple[str, str], list[Sequence[float]]] = {}
    for (_, limits, noise), values in ratios.items():
        alike.setdefault((limits, noise), []).append(values)
    scatters = {kind: common_scatter(samples) for kind, samples in alike.items()}
    for key in noisy:
        interval = geometric_interval(ratios[key], scatter=scatters[key[1:]])
        yield _effect(key, every[key], alone.get(key[:2]), len(ratios[key]), interval)


def _good(rows: pd.DataFrame) -> pd.DataFrame:
    return rows[rows["verdict"] == "ok"]


def _ratios(beside: pd.DataFrame, alone: pd.DataFrame | None) -> list[float]:
    """Return the p99 beside a noise to that alone, of each block that has both."""
    if alone is None:
        return []
    ratios = beside.set_index("block")["p99_ms"] / alone.set_index("block")["p99_ms"]
    return [float(ratio) for ratio in ratios.dropna()]


def _effect(
    key: tuple[str, str, str],
    every: pd.DataFrame,
    alone: pd.DataFrame | None,
    blocks: int,
    ratio: Interval,
) -> Effect:
    target, limits, noise = key
    rows = _good(every)
    p99_ms, is_bound = _p99_ms(rows)
    sent = int(rows["requests"].sum())
    made = float(rows["noise_done"].sum() + rows["noise_refused"].sum())
    void = every[every["verdict"] != "ok"]["verdict"]
    return Effect(
        target=target,
        runs_as=str(every["runs_as"].iloc[0]),
        noise=noise,
        limits=limits,
        blocks=blocks,
        requests=sent,
        alone_ms=math.nan if alone is None else _p99_ms(alone)[0],
        p99_ms=p99_ms,
        is_bound=is_bound,
        ratio=ratio,
        lost=min(1.0, float(rows["errors"].sum() + rows["dropped"].sum()) / sent) if sent else 0.0,
        refused=float(rows["noise_refused"].sum()) / made if made else None,
        failed="" if void.empty else str(void.iloc[0]).removeprefix("void: "),
    )


def _p99_ms(rows: pd.DataFrame) -> tuple[float, bool]:
    """Return the p99 of all windows together, and whether it is only the longest time."""
    merged = merged_histogram(rows["hdr"])
    if not merged.count:
        return math.nan, False
    return merged.quantile(P99) / 1000, quantile_ranks(merged.count, P99) is None
