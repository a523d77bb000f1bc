"""Where a trial's warm-up ends, found in its own numbers. Pure.

Strategy: MSER-5 (White 1997; White, Cobb and Spratt 2000). The series is averaged in batches of
five; of all places where it could be cut, the one is taken that leaves the mean of the rest with
the least standard error. Cutting too little keeps the bias of the start, cutting too much throws
good observations away: the standard error has its least value in between.

A cut in the second half says that the series had not settled: there is no steady state to speak
of, and what follows the cut is too short to trust.

**A cut must matter.** Even pure noise has a place where the standard error is least: of series that
are steady throughout, MSER-5 cuts one in four somewhere, and calls one in eleven unsettled. So
`judge` believes a cut only if what it cuts off differs from the rest by more than three standard
errors and by more than 2%; then both are less than 1%. What moves by less does no harm.

**A stall is not a start.** A pause in the middle looks like something to be cut off, too, with all
that came before it; but it belongs to what is measured. A start is slow from the start: the
earliest quarter of what is cut off must differ as well, in the same direction.

**Slow targets.** 250 requests in 200 sub-windows are one or two each, which is noise alone. There
are as many sub-windows as give each five requests on average, at most 200; where that would be
fewer than 20, which is four batches, nothing can be said.
"""

from __future__ import annotations

import enum
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

BATCH = 5
SUB_WINDOWS = 200
"""Into how many stretches a trial is divided to see how its rate develops."""
LEAST_SUB_WINDOWS = 20
LEAST_REQUESTS = 5
"""On average in a sub-window."""
LEAST_ERRORS, LEAST_SHIFT = 3.0, 0.02
"""By how many standard errors, and by what share, the rate must change for a cut to matter."""


@dataclass(frozen=True)
class Steady:
    """Where the steady state begins, as a share of the series; None where there is none."""

    share: float | None


class Steadiness(enum.StrEnum):
    """What can be said about a trial."""

    REACHED = "yes"
    NONE = "no"
    UNKNOWN = "not assessed"


@dataclass(frozen=True)
class Settling:
    """Whether and when a trial settled: `from_s` seconds after its load began, if it did."""

    steadiness: Steadiness
    from_s: float | None = None


def judge(completed_s: ArrayLike, start: float, end: float) -> Settling:
    """Return where the steady state begins of requests completed at these times, in seconds.

    `start` is when the load began. The series is that of the rate, in sub-windows up to `end`.
    """
    completed = np.asarray(completed_s, dtype=np.float64)
    inside = int(np.count_nonzero((completed >= start) & (completed <= end)))
    windows = min(SUB_WINDOWS, inside // LEAST_REQUESTS)
    if windows < LEAST_SUB_WINDOWS:
        return Settling(Steadiness.UNKNOWN)
    means = _batch_means(rates(completed, start, end, windows))
    cut = _cut(means)
    if not _matters(means, cut):
        return Settling(Steadiness.REACHED, 0.0)
    if cut > len(means) // 2:
        return Settling(Steadiness.NONE)
    return Settling(Steadiness.REACHED, cut * BATCH / windows * (end - start))


def _cut(means: NDArray[np.float64]) -> int:
    """Return how many batches to cut off: by MSER, but none in the second half for noise alone.

    Behind a slow start the standard error may happen to be least far out; the best cut of the first
    half stands if what lies between the two is like the rest.
    """
    errors = _squared_errors(means)
    cut, early = int(np.argmin(errors)), int(np.argmin(errors[: len(means) // 2 + 1]))
    return early if cut > early and not _matters(means[early:], cut - early) else cut


def mser(series: Sequence[float] | NDArray[np.float64], batch: int = BATCH) -> Steady:
    """Return where to cut a series of equally spaced observations.

    Raises ValueError for a series shorter than four batches.
    """
    means = _batch_means(series, batch)
    cut = int(np.argmin(_squared_errors(means)))
    return Steady(cut / len(means) if cut <= len(means) // 2 else None)


def _batch_means(
    series: Sequence[float] | NDArray[np.float64], batch: int = BATCH
) -> NDArray[np.float64]:
    values = np.asarray(series, dtype=np.float64)
    count = len(values) // batch
    if count < 4:
        raise ValueError(f"{len(values)} observations are too few for batches of {batch}")
    means: NDArray[np.float64] = values[: count * batch].reshape(count, batch).mean(axis=1)
    return means


def _squared_errors(means: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the squared standard error of the mean of `means[d:]` for each d but the last few.

    The last batches are never left alone: a few that happen to agree would always win.
    """
    least_left = max(2, len(means) // 10)
    starts = range(len(means) - least_left + 1)
    return np.array([means[start:].var() / (len(means) - start) for start in starts])


def _matters(means: NDArray[np.float64], cut: int) -> bool:
    """Say whether the batches before a cut, the earliest too, differ from the rest beyond noise."""
    if cut == 0:
        return False
    before, earliest, after = means[:cut], means[: max(1, cut // 4)], means[cut:]
    shift = float(before.mean() - after.mean())
    # The rest was chosen for being quiet. What noise there is shows between neighbours as well (von
    # Neumann 1941), wherever the series is cut.
    spread = max(float(after.var(ddof=1)), float(np.square(np.diff(means)).mean()) / 2)
    error = math.sqrt(max(float(before.var()), spread) / cut + spread / len(after))
    least = max(LEAST_ERRORS * error, LEAST_SHIFT * float(after.mean()))
    first_shift = math.copysign(1, shift) * float(earliest.mean() - after.mean())
    first_least = max(
        LEAST_ERRORS * math.sqrt(spread / len(earliest)), LEAST_SHIFT * float(after.mean())
    )
    return abs(shift) > least and first_shift > first_least


def rates(
    completed_s: ArrayLike, start: float, end: float, sub_windows: int = SUB_WINDOWS
) -> NDArray[np.float64]:
    """Return the requests per second in each sub-window from `start` to `end`, in seconds."""
    counts, _ = np.histogram(np.asarray(completed_s), bins=sub_windows, range=(start, end))
    return counts / ((end - start) / sub_windows)
