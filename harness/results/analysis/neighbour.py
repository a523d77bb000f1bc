"""What noise does to a quiet tenant, from the windows of neighbour.parquet. Pure.

The p99 beside a noise is compared with the p99 alone of the same block: on the same target, under
the same limits, from the same start of the server. The interval is over the blocks. A p99 itself is
that of all blocks' requests together.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import pandas as pd

from harness.results.blocks import merged_histogram
from harness.stats.intervals import NOTHING, Interval, geometric_interval, quantile_ranks

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
    for (target, limits), series in windows.groupby(["target", "limits"], sort=False):
        good = series[series["verdict"] == "ok"]
        alone = good[good["noise"] == ALONE].set_index("block")["p99_ms"]
        alone_ms, _ = _p99_ms(good[good["noise"] == ALONE])
        for noise, every in series[series["noise"] != ALONE].groupby("noise", sort=False):
            yield _effect(str(target), str(limits), str(noise), every, alone, alone_ms)


def _effect(
    target: str,
    limits: str,
    noise: str,
    every: pd.DataFrame,
    alone: pd.Series[float],
    alone_ms: float,
) -> Effect:
    rows = every[every["verdict"] == "ok"]
    beside = rows.set_index("block")["p99_ms"]
    ratios = (beside / alone).dropna().tolist()
    p99_ms, is_bound = _p99_ms(rows)
    sent = int(rows["requests"].sum())
    made = float(rows["noise_done"].sum() + rows["noise_refused"].sum())
    void = every[every["verdict"] != "ok"]["verdict"]
    return Effect(
        target=target,
        runs_as=str(every["runs_as"].iloc[0]),
        noise=noise,
        limits=limits,
        blocks=len(ratios),
        requests=sent,
        alone_ms=alone_ms,
        p99_ms=p99_ms,
        is_bound=is_bound,
        ratio=geometric_interval(ratios) if ratios else NOTHING,
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
