"""Intervals. Pure: numbers in, numbers out.

Strategy
========

**Blocks are the replicates, requests are not** (rule 7 of docs/measuring.md). A trial of ten
seconds holds a hundred thousand requests, but one server start, one memory layout, one stretch
of the host's conditions. Its requests share all of these, so an interval from requests is far too
narrow: it says how well *this* trial was measured, not what another trial would give (Kalibera
and Jones 2013; Mytkowicz et al. 2009). Everything here takes one number a block.

**Logarithms.** Rates, times and ratios are positive and their errors multiply: "5% slower"
is as likely as "5% faster". On the log scale that is symmetric, the mean is the geometric mean,
the interval never reaches below zero, and the ratio A/B is exactly 1/(B/A).

**Ratios are paired.** Both targets of a ratio ran in the same block, minutes apart, so what
slowed the whole block cancels. The ratio is taken in each block; the interval is that of the
log ratios.

**Two runs are not paired.** Block 3 of one run and block 3 of another shared nothing, so their
ratio means nothing. What compares are the two means of logarithms; each run's blocks scatter as
they do, alike or not, which is Welch's t (1947). Its interval says what other blocks of the same
two runs would give. It cannot say what another hour would give: no run's blocks contain that.

**Student's t, not the bootstrap.** With five blocks a percentile bootstrap resamples five
numbers: its spread is too small by sqrt((n-1)/n) and its tails are those of a normal
distribution, not of t with four degrees of freedom. Together they make it cover about 82% where
95% is claimed (tests/harness/stats/test_intervals.py shows both). The bootstrap asks for no
distribution, but with five numbers it has no way to learn one either, and BCa (Efron 1987) does not
mend that. `bootstrap_interval` is beside it in summary.csv, and from twenty blocks on in the
report: where both agree, it does not matter which assumption was made.

**Few blocks, many targets.** A table of ratios has a dozen targets or more, and few blocks: what
these tell of each other's scatter is told in `moderation`.

**Quantiles.** The order-statistic interval is exact for any distribution as long as the
latencies are independent. Within a closed loop they are not: a stall delays every user at once.
So `quantile_ranks` decides only whether a sample is large enough for a quantile to be shown,
and gives the interval "within the sample"; the p99 interval that a report shows comes from the
p99 of each block, by `geometric_interval`, like every other interval.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from harness.stats.moderation import UNKNOWN, Scatter

# scipy is imported where it is used: that takes longer than to start all the rest of isobench.

CONFIDENCE = 0.95
ENOUGH_TO_RESAMPLE = 20
"""Of fewer blocks the bootstrap's interval is too narrow to be shown to a reader."""
_RESAMPLES = 5_000
_ALIKE = 1e-12


@dataclass(frozen=True)
class Interval:
    """An estimate and the range that holds the true value with the stated confidence.

    `low` and `high` are NaN where there is no interval, as from one block.
    """

    low: float
    mid: float
    high: float

    @property
    def width(self) -> float:
        """Half the interval as a share of `mid`, on the log scale: 0.05 reads "+-5%"."""
        return math.sqrt(self.high / self.low) - 1


NOTHING = Interval(math.nan, math.nan, math.nan)


@lru_cache(maxsize=1024)
def t_reach(confidence: float, freedom: float) -> float:
    """Return how many standard errors an interval reaches to either side (Student's t)."""
    from scipy.special import stdtrit

    return float(stdtrit(freedom, 0.5 + confidence / 2))


def t_below(value: float, freedom: float) -> float:
    """Return the probability that Student's t is below a value."""
    from scipy.special import stdtr

    return float(stdtr(freedom, value))


def geometric_interval(
    values: Sequence[float], confidence: float = CONFIDENCE, scatter: Scatter = UNKNOWN
) -> Interval:
    """Return the geometric mean of one value a block, with Student's t interval on the logs.

    `scatter` is what is known of their scatter beside. No value gives NaN throughout; one value
    gives no low and high. Raises ValueError for a value that is not a positive number.
    """
    if len(values) == 0:
        return NOTHING
    logs = np.log(_positive(values))
    mid = float(logs.mean())
    if len(logs) == 1:
        return Interval(math.nan, math.exp(mid), math.nan)
    known = scatter.joined(float(logs.var(ddof=1)), len(logs) - 1)
    reach = t_reach(confidence, known.freedom) * math.sqrt(known.variance / len(logs))
    return Interval(math.exp(mid - reach), math.exp(mid), math.exp(mid + reach))


def ratio_interval(
    values: Sequence[float], baseline: Sequence[float], confidence: float = CONFIDENCE
) -> Interval:
    """Return values/baseline, paired block by block: the two have one entry for each block.

    Raises ValueError where the lengths differ or a value is not a positive number.
    """
    if len(values) != len(baseline):
        raise ValueError(f"{len(values)} blocks cannot be paired with {len(baseline)}")
    if len(values) == 0:
        return NOTHING
    return geometric_interval((_positive(values) / _positive(baseline)).tolist(), confidence)


def bootstrap_interval(
    ratios: Sequence[float], confidence: float = CONFIDENCE, seed: int = 0
) -> Interval:
    """Return the geometric mean of one ratio a block, with the bootstrap's BCa interval.

    The logarithms are resampled, always by the same seed. No value gives NaN throughout; one value
    gives no low and high; blocks that are all alike give an interval of no width. Raises ValueError
    for a value that is not a positive number.
    """
    if len(ratios) < 2:
        return geometric_interval(ratios, confidence)
    logs = np.log(_positive(ratios))
    mid = math.exp(float(logs.mean()))
    if np.ptp(logs) < _ALIKE:  # BCa's skewness is not defined there
        return Interval(mid, mid, mid)
    from scipy import stats

    found = stats.bootstrap(
        (logs,),
        np.mean,
        confidence_level=confidence,
        n_resamples=_RESAMPLES,
        method="BCa",
        rng=np.random.default_rng(seed),
    ).confidence_interval
    return Interval(math.exp(found.low), mid, math.exp(found.high))


@dataclass(frozen=True)
class LogRatio:
    """The logarithm of the ratio of two runs' means, from blocks that are not paired.

    `error` is its standard error and `freedom` the degrees of freedom (Welch 1947; Satterthwaite
    1946); both are NaN where one of the runs has fewer than two blocks.
    """

    mean: float
    error: float
    freedom: float

    def interval(self, confidence: float = CONFIDENCE) -> Interval:
        """Return the ratio with Student's t interval."""
        reach = t_reach(confidence, self.freedom) * self.error
        return Interval(
            *(math.exp(log) for log in (self.mean - reach, self.mean, self.mean + reach))
        )

    def p_not_below(self, ratio: float) -> float:
        """Return the one-sided p-value of "the true ratio is `ratio` or more"."""
        distance = self.mean - math.log(ratio)
        if self.error == 0:  # every block alike, as memory can be
            return 0.0 if distance < 0 else 1.0
        return t_below(distance / self.error, self.freedom)

    def p_not_above(self, ratio: float) -> float:
        """Return the one-sided p-value of "the true ratio is `ratio` or less"."""
        return LogRatio(-self.mean, self.error, self.freedom).p_not_below(1 / ratio)


def unpaired_ratio(values: Sequence[float], baseline: Sequence[float]) -> LogRatio:
    """Return values/baseline, of two runs: one value for each block of either.

    NaN throughout where one of them is empty. Raises ValueError for a value that is not a
    positive number.
    """
    if len(values) == 0 or len(baseline) == 0:
        return LogRatio(math.nan, math.nan, math.nan)
    logs = [np.log(_positive(side)) for side in (values, baseline)]
    mean = float(logs[0].mean() - logs[1].mean())
    if min(len(values), len(baseline)) < 2:
        return LogRatio(mean, math.nan, math.nan)
    above, below = (float(side.var(ddof=1)) / len(side) for side in logs)
    shares = above**2 / (len(values) - 1) + below**2 / (len(baseline) - 1)
    freedom = (above + below) ** 2 / shares if shares else len(values) + len(baseline) - 2
    return LogRatio(mean, math.sqrt(above + below), freedom)


def quantile_ranks(
    count: int, quantile: float, confidence: float = CONFIDENCE
) -> tuple[int, int] | None:
    """Return the ranks, from 1, whose order statistics enclose the quantile of the population.

    The number of `count` independent values at or below it is binomial (David and Nagaraja,
    *Order Statistics*, 7.1). None where the sample is too small for both ends to exist.
    """
    if not has_quantile(count, quantile, confidence):
        return None
    tail = (1 - confidence) / 2
    return _below(tail, count, quantile), _below(1 - tail, count, quantile) + 1


def _below(share: float, count: int, quantile: float) -> int:
    """Return how many values are below a quantile in `share` of all samples (binom.ppf)."""
    # Not scipy.stats, which takes half a second to import.
    from scipy.special import bdtr, bdtrik

    number = math.ceil(bdtrik(share, count, quantile))
    # The inverse is a root that was searched for, and may be next to it.
    return number - 1 if number and bdtr(number - 1, count, quantile) >= share else number


def has_quantile(count: int, quantile: float, confidence: float = CONFIDENCE) -> bool:
    """Tell whether a sample is large enough for both ends of a quantile's interval to exist.

    That is, whether all of `count` values lie on one side of it as seldom as an end may fail.
    """
    tail = (1 - confidence) / 2
    return count >= 1 and (1 - quantile) ** count < tail and quantile**count <= tail


def _positive(values: Sequence[float]) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    array = np.asarray(values, dtype=np.float64)
    if not (np.isfinite(array) & (array > 0)).all():
        raise ValueError("an interval on logarithms needs positive numbers")
    return array
