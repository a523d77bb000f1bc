"""A line through the costs of a way at several sizes: so much a process, so much a MiB. Pure.

Strategy: errors of times are shares of them, so that the squares of the *relative* errors are
made least; else the largest process alone would decide, and what is left for a process without
memory would be noise. One line a round, from that round's numbers; the interval is Student's t
over the rounds' lines, since a round, and not a repetition, is what is replicated.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable, Sequence

import numpy as np

from harness.costs.samples import Cost, Sample, Subject
from harness.stats.intervals import CONFIDENCE, Interval, t_reach

PER_PROCESS = "per process"
PER_MIB = "per MiB"


def line(points: Sequence[tuple[float, float]]) -> tuple[float, float]:
    """Return intercept and slope of the line through (x, y) with the least relative errors.

    Raises ValueError for fewer than two different x, or a y that is not positive.
    """
    x, y = np.array(points, dtype=np.float64).T
    if len(set(x.tolist())) < 2 or not (y > 0).all():
        raise ValueError("a line needs two different sizes, and times above 0")
    weighted = np.column_stack([1 / y, x / y])
    (intercept, slope), *_ = np.linalg.lstsq(weighted, np.ones(len(y)))
    return float(intercept), float(slope)


def arithmetic_interval(values: Sequence[float], confidence: float = CONFIDENCE) -> Interval:
    """Return the mean of one value a round with Student's t interval; no low and high for one.

    For what may be negative or 0, as a slope may.
    """
    mid = statistics.fmean(values)
    if len(values) == 1:
        return Interval(math.nan, mid, math.nan)
    error = statistics.stdev(values) / math.sqrt(len(values))
    reach = t_reach(confidence, len(values) - 1) * error
    return Interval(mid - reach, mid, mid + reach)


def fit(samples: Iterable[Sample]) -> list[Cost]:
    """Return two rows, per process and per MiB, for each way and kind of pages."""
    rounds: dict[tuple[str, str], dict[int, list[tuple[float, float]]]] = {}
    for sample in samples:
        heap_mib, pages = sample.subject.heap_mib, sample.subject.pages
        if sample.subject.measure == "creation" and heap_mib is not None and pages is not None:
            of_way = rounds.setdefault((sample.subject.name, pages), {})
            of_way.setdefault(sample.round, []).append((heap_mib, sample.value_us))
    found = []
    for (name, pages), of_way in rounds.items():
        whole = [points for points in of_way.values() if len({x for x, _ in points}) > 1]
        if whole:
            found += _rows(name, pages, [line(points) for points in whole])
    return found


def _rows(name: str, pages: str, lines: Sequence[tuple[float, float]]) -> list[Cost]:
    suffix = ", huge pages" if pages == "huge" else ""
    intervals = [arithmetic_interval(values) for values in zip(*lines, strict=True)]
    return [
        Cost(
            Subject("line", name, f"{parameter}{suffix}", pages=pages),
            value_us=interval.mid,
            low_us=interval.low,
            high_us=interval.high,
            rounds=len(lines),
        )
        for parameter, interval in zip((PER_PROCESS, PER_MIB), intervals, strict=True)
    ]
