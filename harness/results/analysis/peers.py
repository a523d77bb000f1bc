"""Modes beside the real products that they re-enact: ratios, and whether the orders agree. Pure.

Strategy
========

**Pairs.** A peer stands beside one mode, and a mode may have several peers. Their ratios are formed
within each block, where both met the same host, and averaged over blocks (`intervals`). Rates of
interleaved trials are compared through the baseline's at the same speed of the host.

**The order.** That a mode is some percent quicker than its product says little, since they are
different programs. What is to hold is the order: of two modes, the quicker one should have the
quicker product. Kendall's tau counts over all couples of pairs how many agree, less how many do
not, as a share of both (Kendall 1938). Couples of one and the same mode have no order, and do not
count. Its interval comes from resampling the blocks.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from harness.results.conditions import Condition, by_condition, is_portion
from harness.stats.intervals import CONFIDENCE, NOTHING, Interval, ratio_interval

_RESAMPLES: Final = 1000


@dataclass(frozen=True)
class Pair:
    """A mode and a peer under one condition; ratios are mode/peer, with 95% intervals.

    `rate` is of requests per second, `p99` of the 99th percentile, `cpu` of CPU time a request.
    An open load gives every target the same rate, so that there is no ratio of rates. Where
    `aborts`, the number of the peer's processes that a signal has ended, is not 0, there is only
    `cpu`: how fast a product serves says little while it waits for new processes.
    """

    mode: str
    peer: str
    rate: Interval
    p99: Interval
    cpu: Interval
    aborts: int = 0


@dataclass(frozen=True)
class Inversion:
    """Two pairs whose orders differ: `quicker` is the quicker mode, with the slower peer."""

    quicker: Pair
    slower: Pair


@dataclass(frozen=True)
class BesidePeers:
    """All pairs of a condition. `tau` is NaN, and has no interval, where no order can be told."""

    condition: Condition
    pairs: tuple[Pair, ...]
    tau: Interval
    couples: int
    inversions: tuple[Inversion, ...]


def beside_peers(trials: pd.DataFrame, beside: Mapping[str, str]) -> list[BesidePeers]:
    """Return the pairs of each condition; none where no pair was measured.

    `beside` names the mode for each peer's name; of several targets of this mode, with factors, the
    one without counts.
    """
    valid = trials[trials["verdict"] == "ok"]
    found = (_of(condition, rows, beside) for condition, rows in by_condition(valid))
    return [one for one in found if one.pairs]


def _of(condition: Condition, rows: pd.DataFrame, beside: Mapping[str, str]) -> BesidePeers:
    rates = _rates(rows)
    p99, cpu = (_by_block(rows, name) for name in ("p99_ms", "server_cpu_us_per_request"))
    aborts = _aborts(rows)
    pairs = tuple(
        Pair(
            mode,
            peer,
            NOTHING if peer in aborts or condition.is_open else _ratio(rates, mode, peer),
            NOTHING if peer in aborts else _ratio(p99, mode, peer),
            _ratio(cpu, mode, peer),
            aborts.get(peer, 0),
        )
        for peer, mode in beside.items()
        if mode in rates and peer in rates
    )
    if is_portion(condition.load):  # each target had a rate of its own
        pairs = ()
    if condition.is_open:  # a given rate orders nothing
        return BesidePeers(condition, pairs, NOTHING, 0, ())
    logs = rates.map(math.log, na_action="ignore")
    ordered = [pair for pair in pairs if not pair.aborts]
    order = _Order(ordered, logs.mean())
    return BesidePeers(
        condition, pairs, _tau(ordered, logs), order.couples, tuple(order.inversions())
    )


def _aborts(rows: pd.DataFrame) -> dict[str, int]:
    """Return for each target how many of its processes have aborted, in all blocks."""
    if "aborts" not in rows:
        return {}
    return {
        str(target): int(count)
        for target, count in rows.groupby("target")["aborts"].sum().items()
        if count > 0
    }


def _by_block(rows: pd.DataFrame, name: str) -> pd.DataFrame:
    """Return a column of numbers for each target, a line a block; zero is no value."""
    known = rows[rows[name] > 0].astype({name: float})
    return known.pivot_table(index="block", columns="target", values=name, aggfunc="median")


def _rates(rows: pd.DataFrame) -> pd.DataFrame:
    """Return rates, or, where all but the baseline have them, multiples of the baseline's rate."""
    rates = _by_block(rows, "requests_per_second")
    if "interleaved_ratio" not in rows or not rows["interleaved_ratio"].notna().any():
        return rates
    ratios = _by_block(rows, "interleaved_ratio")
    missing = [target for target in rates if target not in ratios]
    if len(missing) > 1:
        return rates
    return ratios.assign(**{str(target): 1.0 for target in missing})


def _ratio(table: pd.DataFrame, mode: str, peer: str) -> Interval:
    if mode not in table or peer not in table:
        return NOTHING
    both = table[[mode, peer]].dropna()
    return ratio_interval(both[mode].tolist(), both[peer].tolist())


class _Order:
    """Which pairs are quicker than which, by the mean logarithms of targets' rates."""

    def __init__(self, pairs: Sequence[Pair], logs: Mapping[str, float] | pd.Series[float]) -> None:
        self._logs = logs
        self._couples = [
            (one, other)
            for one, other in combinations(pairs, 2)
            if one.mode != other.mode and one.peer != other.peer
        ]

    @property
    def couples(self) -> int:
        """How many couples have an order."""
        return len(self._couples)

    def inversions(self) -> Iterator[Inversion]:
        """Yield the couples whose modes and peers differ in their order."""
        for one, other in self._couples:
            modes = self._logs[one.mode] - self._logs[other.mode]
            peers = self._logs[one.peer] - self._logs[other.peer]
            if modes * peers < 0:
                yield Inversion(one, other) if modes > 0 else Inversion(other, one)


def _tau(pairs: Sequence[Pair], logs: pd.DataFrame) -> Interval:
    """Return Kendall's tau of the pairs' order, with the interval of resampled blocks."""
    names = list(logs.columns)
    modes = [names.index(pair.mode) for pair in pairs]
    peers = [names.index(pair.peer) for pair in pairs]
    values = logs.to_numpy(dtype=float)
    mid = _tau_of(_means(values), modes, peers)
    if math.isnan(mid) or len(values) < 2:
        return Interval(math.nan, mid, math.nan)
    random = np.random.default_rng(0)
    drawn = [
        _tau_of(_means(values[random.integers(len(values), size=len(values))]), modes, peers)
        for _ in range(_RESAMPLES)
    ]
    outside = 50 * (1 - CONFIDENCE)
    low, high = np.nanpercentile(drawn, [outside, 100 - outside])
    return Interval(float(low), mid, float(high))


def _means(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return each target's mean over the blocks that have it; NaN where none has."""
    known = ~np.isnan(values)
    counts = known.sum(axis=0)
    sums = np.where(known, values, 0.0).sum(axis=0)
    means: NDArray[np.float64] = np.where(counts > 0, sums / np.maximum(counts, 1), np.nan)
    return means


def _tau_of(means: NDArray[np.float64], modes: Sequence[int], peers: Sequence[int]) -> float:
    """Return (agreeing - disagreeing) / (both) of couples with two different modes.

    Where each mode has one peer this is Kendall's tau-a, as scipy has it without ties.
    """
    mode, peer = means[modes], means[peers]
    known = ~(np.isnan(mode) | np.isnan(peer))
    mode, peer, own = mode[known], peer[known], np.asarray(modes)[known]
    if len(np.unique(own)) < 2:
        return math.nan
    if len(np.unique(own)) == len(own):
        from scipy.stats import kendalltau  # where it is used: see harness.stats.intervals

        return float(kendalltau(mode, peer).statistic)
    first, second = np.triu_indices(len(own), 1)
    apart = own[first] != own[second]
    signs = np.sign(mode[first] - mode[second]) * np.sign(peer[first] - peer[second])
    return float(signs[apart].mean())
