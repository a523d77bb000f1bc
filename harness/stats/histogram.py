"""Latency histograms: HdrHistogram on disk, two arrays in memory.

HdrHistogram (Tene) keeps three significant digits over the whole range in a few kilobytes and
is read by other people's tools. In memory its recorded buckets are a pair of arrays, so that
merging and quantiles are a line of NumPy each.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from hdrh.histogram import HdrHistogram
from numpy.typing import ArrayLike, NDArray

LOWEST_US = 1
HIGHEST_US = 60_000_000
SIGNIFICANT_DIGITS = 3


@dataclass(frozen=True, eq=False)
class Histogram:
    """Recorded latencies.

    `values_us`: int64, ascending, the highest value of each bucket that holds anything.
    `counts`: int64, of the same length, each at least 1.
    """

    values_us: NDArray[np.int64]
    counts: NDArray[np.int64]

    @classmethod
    def of(cls, latencies_us: ArrayLike) -> Histogram:
        """Count latencies, in microseconds.

        Below 1 us counts as 1, above 60 s as 60 s. Raises ValueError for a latency that is
        negative or not a number: a clock went wrong, and no bucket is right for it.
        """
        latencies = np.asarray(latencies_us, dtype=np.float64)
        if not (latencies >= 0).all():
            raise ValueError("a latency is negative or not a number")
        whole = np.clip(np.rint(latencies), LOWEST_US, HIGHEST_US).astype(np.int64)
        values, counts = np.unique(whole, return_counts=True)
        return cls._of_buckets(_recorded(values, counts))

    @classmethod
    def from_text(cls, text: str) -> Histogram:
        """Read a base64 HdrHistogram V2 text. Raises ValueError where it is none."""
        try:
            return cls._of_buckets(HdrHistogram.decode(text.encode("ascii")))
        except Exception as error:  # hdrh raises whatever its codec, zlib or base64 raises
            raise ValueError(f"not a histogram: {error}") from error

    @classmethod
    def merged(cls, parts: Iterable[Histogram]) -> Histogram:
        """Return the histogram of all the latencies of `parts`."""
        parts = list(parts)
        if not parts:
            return cls(np.empty(0, np.int64), np.empty(0, np.int64))
        values, where = np.unique(np.concatenate([p.values_us for p in parts]), return_inverse=True)
        counts = np.zeros(len(values), np.int64)
        np.add.at(counts, where, np.concatenate([p.counts for p in parts]))
        return cls(values, counts)

    @classmethod
    def _of_buckets(cls, hdr: HdrHistogram) -> Histogram:
        counts = np.array(hdr.counts, dtype=np.int64)
        filled = np.flatnonzero(counts)
        return cls(_highest_of(hdr, filled), counts[filled])

    @property
    def count(self) -> int:
        """The number of latencies."""
        return int(self.counts.sum())

    def to_text(self) -> str:
        """Return the base64 HdrHistogram V2 text."""
        encoded: bytes = _recorded(self.values_us, self.counts).encode()
        return encoded.decode("ascii")

    def at_rank(self, rank: int) -> float:
        """Return the `rank`-th smallest latency in microseconds, from 1."""
        if not 1 <= rank <= self.count:
            raise ValueError(f"rank {rank} of {self.count}")
        return float(self.values_us[np.searchsorted(np.cumsum(self.counts), rank)])

    def quantile(self, share: float) -> float:
        """Return the latency in microseconds that `share` (0..1) do not exceed; NaN if empty."""
        count = self.count
        if count == 0:
            return math.nan
        return self.at_rank(min(count, max(1, math.ceil(share * count))))

    def quantiles(self, shares: Sequence[float]) -> list[float]:
        """Return `quantile` of each share."""
        return [self.quantile(share) for share in shares]


def _highest_of(hdr: HdrHistogram, places: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the highest value that each of these counters stands for.

    As `get_highest_equivalent_value(get_value_from_index(place))`, for all of them at once: the
    first bucket is twice as long as the others, each of which has twice the step of that before.
    """
    half = hdr.sub_bucket_half_count_magnitude
    bucket = np.maximum((places >> half) - 1, 0)
    step = bucket + hdr.unit_magnitude
    return np.asarray(((places - (bucket << half) + 1) << step) - 1, dtype=np.int64)


def _recorded(values_us: NDArray[np.int64], counts: NDArray[np.int64]) -> HdrHistogram:
    hdr = HdrHistogram(LOWEST_US, HIGHEST_US, SIGNIFICANT_DIGITS)
    # The highest value of the last bucket lies above HIGHEST_US, in the same bucket.
    for value, count in zip(values_us.tolist(), counts.tolist(), strict=True):
        hdr.record_value(value, count)
    return hdr
