"""Modes beside real products, in sentences and tables. Pure."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import pandas as pd

from harness.results.analysis.peers import BesidePeers, Inversion, Pair
from harness.results.format import NONE
from harness.stats.intervals import Interval

HEADING = "Beside the real products"


def sentences(found: Sequence[BesidePeers]) -> list[str]:
    """Return whether the modes' order is that of their products, and where it is not."""
    return [sentence for one in found for sentence in _sentences(one, several=len(found) > 1)]


def _sentences(one: BesidePeers, *, several: bool) -> Iterator[str]:
    begin = f"With {one.condition.words()}, " if several else ""
    for pair in one.pairs:
        if pair.aborts:
            yield (
                f"{begin}{pair.aborts} processes of {pair.peer} were killed by a signal and had to "
                f"be replaced: compare it with {pair.mode} by CPU time."
            )
    if one.condition.is_open:
        words = "he rate is the same for all, so they are compared by p99 and CPU time."
        yield f"{begin}t{words}" if begin else f"T{words}"
        return
    if math.isnan(one.tau.mid):
        words = "here are too few pairs to compare their order."
        yield f"{begin}t{words}" if begin else f"T{words}"
        return
    held = one.couples - len(one.inversions)
    begin = begin or "By requests per second, "
    yield (
        f"{begin}the order of the modes is that of their products in {held} of {one.couples} "
        f"couples: Kendall's tau is {_number(one.tau.mid)}{_range(one.tau)}."
    )
    for inversion in one.inversions:
        yield _inverted(inversion)


def _inverted(inversion: Inversion) -> str:
    quicker, slower = inversion.quicker, inversion.slower
    return (
        f"Inverted: {quicker.mode} is faster than {slower.mode}, but {quicker.peer} slower than "
        f"{slower.peer}."
    )


def table(one: BesidePeers) -> pd.DataFrame:
    """Return the pairs as texts; ratios are mode/peer."""
    return pd.DataFrame(
        [_line(pair) for pair in one.pairs],
        columns=["mode : peer", "req/s", "p99", "CPU per request"],
    )


def _line(pair: Pair) -> tuple[str, ...]:
    name = f"{pair.mode} : {pair.peer}"
    return name, *(_ratio(interval) for interval in (pair.rate, pair.p99, pair.cpu))


def _ratio(interval: Interval) -> str:
    return NONE if math.isnan(interval.mid) else f"{_number(interval.mid)}{_range(interval)}"


def _range(interval: Interval) -> str:
    if math.isnan(interval.low) or math.isnan(interval.high):
        return ""
    return f" ({_number(interval.low)} to {_number(interval.high)})"


def _number(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.2f}"


def sides(interpreter: str, version: str, peers: Sequence[tuple[str, str]]) -> str:
    """Say what runs the scripts on either side."""
    told = [f"{name}: {words}" for name, words in peers]
    return (
        f"Modes, and peers that start the scripts as programs, ran on Python {version} "
        f"({interpreter}){'; ' if told else '.'}{'; '.join(told)}{'.' if told else ''}"
    )
