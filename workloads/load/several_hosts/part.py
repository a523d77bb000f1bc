"""One generator's part of a trial: its share of the load, and what it saw, in numbers to be merged.

Every time is by the generator's own clock, and only differences leave it: clocks of hosts are never
compared. Latencies leave it as histograms (HdrHistogram), whose merging loses nothing.
"""

import math
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from hdrh.histogram import HdrHistogram
from numpy.typing import NDArray

from workloads.load import schedule
from workloads.load.recorder import Recorder
from workloads.load.schedule import Arrivals
from workloads.load.spec import Load

LOWEST_US, HIGHEST_US, DIGITS = 1, 60_000_000, 3
"""As in latency.parquet."""

Latencies = NDArray[np.float64]


def share_of(load: Load, index: int, parts: int) -> Load:
    """Return the load of the generator with this index, of so many.

    Open loads are divided by rate: several Poisson processes are one of all their rates. A closed
    load has as many users as Locust gives the generator.
    """
    arrivals = load.arrivals
    if isinstance(arrivals, Arrivals):
        arrivals = replace(arrivals, rate=arrivals.rate / parts)
    return replace(load, arrivals=arrivals, seed=load.seed * 1000 + index)


def seen(recorder: Recorder, window: tuple[float, float], is_open: bool) -> dict[str, Any]:
    """Return what was seen in a window, as JSON; see `Seen` in harness.trial.judging.merging."""
    rows = recorder.rows()
    begin, end = window
    if is_open:
        account = schedule.account(rows, begin, end)
        return {
            "completed": account.completed,
            "offered": len(account.response_us),
            "service": text_of(account.service_us),
            "response": text_of(account.response_us),
            "sum_us": float(account.response_us.sum()),
            "late": account.late,
            "late_worst_ms": account.late_worst_ms,
            "dropped": account.dropped,
        }
    inside = rows[(rows[:, 0] >= begin) & (rows[:, 0] < end), 1]
    return {"completed": len(inside), "service": text_of(inside), "sum_us": float(inside.sum())}


def text_of(latencies_us: Latencies) -> str:
    """Return the histogram of latencies as a base64 HdrHistogram V2 text."""
    hdr = HdrHistogram(LOWEST_US, HIGHEST_US, DIGITS)
    whole = np.clip(np.rint(latencies_us), LOWEST_US, HIGHEST_US).astype(np.int64)
    values, counts = np.unique(whole, return_counts=True)
    for value, count in zip(values.tolist(), counts.tolist(), strict=True):
        hdr.record_value(value, count)
    encoded: bytes = hdr.encode()
    return encoded.decode("ascii")


@dataclass(frozen=True)
class Link:
    """The way to the server in one trial; `during_us` is the median while it was loaded."""

    before_us: float
    during_us: float
    after_us: float
    segments: int
    again: int


def median_us(round_trips_us: list[float]) -> float:
    """Return the median, NaN of none."""
    return float(np.median(round_trips_us)) if round_trips_us else math.nan
