"""What the other targets of a table say about the scatter of one of them. Pure.

Strategy
========

With three to six blocks a target's own scatter is hardly known: Student's t for two degrees of
freedom reaches 4.3 standard errors to either side, and by luck the blocks of one target agree to 1%
and those of its neighbour not to 20%. Yet what makes blocks scatter is, on a host that changes its
speed, the same for all targets of a table. So their variances are taken for draws from one
distribution, which is estimated from all of them (an inverse chi-squared; Smyth 2004, Statistical
Applications in Genetics and Molecular Biology 3(1), sections 3 and 6.2: *moderated t*). It has a
location, the common variance, and degrees of freedom: as many as if the common variance had been
seen in so many blocks more. Where targets scatter alike these are many, and each target's interval
is nearly that of all blocks of all targets; where they do not they are few, and each target keeps
its own scatter.

**What it promises.** Of all intervals of a table 95% hold the truth. A target that scatters far
more than its neighbours is held less often than that, one that scatters less more often
(tests/harness/stats/test_moderation.py counts both).

**What they share.** A block in which the baseline is slow moves all ratios the same way, so their
variances are not so many independent ones. Variances of samples with the correlation r are
correlated by its square, so k targets tell no more than k / (1 + (k - 1) r^2) independent ones (the
design effect; Kish 1965). r is their mean correlation: how much more the mean over the targets
scatters from block to block than it would if they had nothing in common.

**Bounds.** Fewer than eight targets tell nothing about a distribution of variances: each then keeps
its own. However alike they are, the degrees of freedom are no more than those of all targets. Of
what is found half counts: the distribution, too, is estimated from few, and may have another shape.
With half, intervals of a table keep their promise also where one half of its targets scatters four
times as much as the other; with all, 93% of them hold the truth.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

FEWEST = 8
"""So many targets it takes to speak of a distribution of their variances."""
_COUNTED = 0.5
_SMALLEST = 1e-12


@dataclass(frozen=True)
class Scatter:
    """A variance of logarithms, as known as if seen with so many degrees of freedom."""

    variance: float
    freedom: float

    def joined(self, variance: float, freedom: float) -> Scatter:
        """Return what is known together with a variance that was seen."""
        both = self.freedom + freedom
        return Scatter((self.freedom * self.variance + freedom * variance) / both, both)


UNKNOWN = Scatter(0.0, 0.0)


def common_scatter(samples: Sequence[Sequence[float]]) -> Scatter:
    """Return what samples of positive numbers, one a target, have in common in their scatter.

    `UNKNOWN` where fewer than eight have two values or more.
    """
    logs = [np.log(np.asarray(values, dtype=np.float64)) for values in samples if len(values) > 1]
    variances = np.array([one.var(ddof=1) for one in logs])
    freedoms = np.array([len(one) - 1 for one in logs], dtype=np.float64)
    usable = variances > _SMALLEST
    variances, freedoms = variances[usable], freedoms[usable]
    if len(variances) < FEWEST:
        return UNKNOWN
    from scipy.special import digamma, polygamma

    centred = np.log(variances) - digamma(freedoms / 2) + np.log(freedoms / 2)
    middle = float(centred.mean())
    beyond_chance = float(centred.var(ddof=1) - polygamma(1, freedoms / 2).mean())
    most = float(freedoms.sum()) / _design_effect(logs)
    freedom = most if beyond_chance <= 0 else min(most, 2 * _trigamma_inverse(beyond_chance))
    variance = math.exp(middle + float(digamma(freedom / 2)) - math.log(freedom / 2))
    return Scatter(variance, _COUNTED * freedom)


def _design_effect(logs: Sequence[NDArray[np.float64]]) -> float:
    """Return how many targets tell no more than one that had nothing in common with others.

    By those that have all blocks; 1 where these are fewer than two.
    """
    blocks = max(len(one) for one in logs)
    whole = np.array([one - one.mean() for one in logs if len(one) == blocks])
    count = len(whole)
    own = float((whole**2).mean())
    if count < 2 or own <= _SMALLEST:
        return 1.0
    shared = float((whole.mean(axis=0) ** 2).mean())
    correlation = min(1.0, max(0.0, (count * shared / own - 1) / (count - 1)))
    return 1 + (count - 1) * correlation**2


def _trigamma_inverse(value: float) -> float:
    """Return where the trigamma function has this value, by Newton's method (Smyth 2004, 6.2)."""
    from scipy.special import polygamma

    at = 0.5 + 1 / value
    for _ in range(50):
        seen = float(polygamma(1, at))
        step = seen * (1 - seen / value) / float(polygamma(2, at))
        at += step
        if abs(step) < 1e-8 * at:
            break
    return at
