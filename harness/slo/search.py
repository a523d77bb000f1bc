"""The search for the highest rate at which a promise is kept. Pure: looks in, a rate out.

Strategy
========

**What is looked for** is a threshold on the logarithm of the rate, and each look, a short open
load, says "kept" or "broken", with some chance of being wrong: near the threshold as a coin would,
far from it only where the host stalled meanwhile. Psychophysics looks for thresholds of perception
by answers of that kind, and its method is used here: QUEST (Watson and Pelli, "QUEST: A Bayesian
adaptive psychometric method", Perception & Psychophysics 33, 1983). Bisection would never come back
from one wrong answer. QUEST holds a probability for each rate that it be the threshold, multiplies
it by the likelihood of each answer, and looks next at the median.

**Where it begins.** `capacity` is what the server answers in a closed loop, and no promise is kept
for long beyond it. Any share of it is as likely as any other before the first look. Where the host
was slower then, and higher rates keep the promise, the range goes on beyond these.

**The rate of a look** is what was offered in it: of a Poisson process, not quite what was planned.

**Likelihood.** The chance of "kept" falls from one to zero over `WIDTH` of the logarithm around the
threshold, as a logistic function, and `LAPSE` of the answers are wrong whatever the rate.

**The generator's limit** is no finding about the server. A look in which the generator was too slow
counts as neither; no later look is at that rate or above it. If no look at the threshold, or above
it, says "broken", what was found is the highest rate that was seen to keep the promise: at least
that much.

**How sure it is.** One search cannot show that: its looks share one server and a few
seconds. The interval comes from the blocks, one search each (rule 7 of docs/measuring.md).
"""

from __future__ import annotations

import enum
import math
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

MOST_LOOKS: Final = 7
MORE_LOOKS: Final = 10
"""The bound where answers contradict each other, as after a stall of the host."""
UNSURE: Final = 0.15
"""They do where four fifths of the probability are on a longer stretch of the logarithm."""
LEAST, MOST = 0.01, 1.2
"""The shares of the capacity between which the threshold is looked for at first."""
WIDTH: Final = 0.05
LAPSE: Final = 0.05
ENOUGH: Final = 0.04
"""A search ends when four fifths of the probability are on so short a stretch of the logarithm."""
NEAR: Final = 1.05
"""A look at a rate that is lower than the threshold by less than this factor is at it."""
_POINTS: Final = 600


class Look(enum.StrEnum):
    """What a load at a rate said."""

    KEPT = "kept"
    BROKEN = "broken"
    BOUND = "generator-bound"


class Outcome(enum.StrEnum):
    """What a search found."""

    FOUND = "found"
    AT_LEAST = "at least"
    NEVER = "never"
    UNKNOWN = "generator-bound"


@dataclass(frozen=True)
class Found:
    """The outcome, and the rate in requests a second; None where no rate keeps the promise."""

    outcome: Outcome
    rate: float | None = None


@dataclass(frozen=True)
class Search:
    """A search that has had these looks. `least` is the lowest rate that can be looked at."""

    capacity: float
    least: float = 0.0
    looks: tuple[tuple[float, Look], ...] = ()

    def after(self, rate: float, look: Look) -> Search:
        """Return the search with one more look."""
        return replace(self, looks=(*self.looks, (rate, look)))

    def next_rate(self) -> float | None:
        """Return the rate to look at next; None when it is over."""
        low, mid, high = self._quantiles(0.1, 0.5, 0.9).tolist()
        is_sure = high - low < UNSURE and self._is_backed(math.exp(mid))
        most = MOST_LOOKS if is_sure else MORE_LOOKS
        return None if len(self.looks) >= most or high - low < ENOUGH else math.exp(mid)

    def found(self) -> Found:
        """Return what is known after all looks."""
        said = {look for _, look in self.looks}
        if Look.KEPT not in said:
            _, lowest = min(self.looks)
            return Found(Outcome.NEVER if lowest is Look.BROKEN else Outcome.UNKNOWN)
        (mid,) = np.exp(self._quantiles(0.5)).tolist()
        if self._is_backed(mid) or (Look.BROKEN in said and Look.BOUND not in said):
            return Found(Outcome.FOUND, float(mid))
        return Found(Outcome.AT_LEAST, max(self._rates(Look.KEPT)))

    def _is_backed(self, threshold: float) -> bool:
        """Return whether the promise was seen to be broken where the threshold seems to be."""
        return any(NEAR * rate >= threshold for rate in self._rates(Look.BROKEN))

    def _rates(self, look: Look) -> list[float]:
        return [rate for rate, said in self.looks if said is look]

    def _quantiles(self, *shares: float) -> NDArray[np.float64]:
        """Return the logarithms below which these shares of the probability are."""
        grid, weights = self._posterior()
        below = np.cumsum(weights)
        found: NDArray[np.float64] = np.interp(np.array(shares) * below[-1], below, grid)
        return found

    def _posterior(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        low, high = self._range()
        grid = np.linspace(math.log(low), math.log(high), _POINTS)
        log_weights = grid.copy()  # any rate is as likely as any other: a density of the rate
        for rate, look in self.looks:
            if look is not Look.BOUND:
                sign = 1.0 if look is Look.KEPT else -1.0
                kept = 1 / (1 + np.exp(-sign * (grid - math.log(rate)) / WIDTH))
                log_weights += np.log(LAPSE + (1 - 2 * LAPSE) * kept)
        return grid, np.exp(log_weights - log_weights.max())

    def _range(self) -> tuple[float, float]:
        most = MOST * max([self.capacity, *self._rates(Look.KEPT)])
        high = min([most, *self._rates(Look.BOUND)])
        return min(max(LEAST * self.capacity, self.least), high / 2), high
