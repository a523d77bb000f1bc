"""Rates of targets that took turns on a host whose speed changes. Pure: arrays in, numbers out.

Strategy
========

What a slice of time shows is the target's rate times the host's speed in that moment. The speed is
the same for whoever has the turn, and it changes less quickly than the turns do. So it is estimated
from the slices of all targets around that moment, and each target's rate is what is left: in field
trials, where a plot's fertility is that of the plots around it, this is nearest neighbour analysis
(Papadakis 1937; Wilkinson et al. 1983, Journal of the Royal Statistical Society B 45(2)).

- A target's rate is a ratio of sums (Cochran 1977, chapter 6): its requests, divided by the seconds
  of its slices, each times the speed in it.
- The speed in a slice is a ratio of sums too: the work of all other slices (their requests, in
  seconds of their target at its rate) divided by their seconds; a slice that lies `dt` seconds away
  counts exp(-dt / memory).
- Each needs the other, so they are found in turns (backfitting; Hastie and Tibshirani 1990).

How long the host remembers its speed is not guessed: of several memories that one is taken with
which the other slices foretell each slice best, with the rates of all slices together
(leave-one-out cross-validation; Stone 1974). On a steady host that is the longest, and the estimate
is then the plain quotient of two mean rates.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from harness.stats.interleaved import Numbers, Portions

MEMORIES_S: Final = (0.1, 0.3, 1.0, 3.0, math.inf)
_ROUNDS: Final = 50
_CLOSE: Final = 1e-4
_LONGEST_STRETCH: Final = 500.0


def relative_rates(targets: Sequence[Portions], baseline: int) -> list[float]:
    """Return the rate of each target as a multiple of that of the target with number `baseline`.

    NaN for a target without requests, and for all where the baseline has none.
    """
    taken = _in_turn(targets)
    if not len(taken.seconds):
        return [math.nan] * len(targets)
    memory_s = min(MEMORIES_S, key=lambda memory_s: _missed(taken, memory_s))
    rates = _fitted(taken, memory_s)
    beside = rates[baseline]
    return [float(rate / beside) if rate > 0 < beside else math.nan for rate in rates]


@dataclass(frozen=True)
class _Turns:
    """All slices of all targets in the order of time; `of` numbers the target of each."""

    middle: Numbers
    seconds: Numbers
    requests: Numbers
    of: NDArray[np.intp]
    targets: int

    def sums(self, values: Numbers) -> Numbers:
        """Return the sum of a value a slice for each target."""
        return np.bincount(self.of, values, self.targets).astype(np.float64)


def _in_turn(targets: Sequence[Portions]) -> _Turns:
    begin, end, requests = (
        np.concatenate([getattr(one, name) for one in targets])
        for name in ("begin", "end", "requests")
    )
    of = np.repeat(np.arange(len(targets)), [len(one.begin) for one in targets])
    order = np.argsort(begin, kind="stable")
    kept = order[(end > begin)[order]]
    return _Turns(
        ((begin + end) / 2)[kept], (end - begin)[kept], requests[kept], of[kept], len(targets)
    )


def _missed(turns: _Turns, memory_s: float) -> float:
    """Return the mean square error with which slices foretell each other's speed."""
    work_s = turns.requests / _mean_rates(turns)[turns.of]
    beside_s = _others(turns.seconds, turns.middle, memory_s)
    speed = _speed(turns, work_s, beside_s, memory_s)
    return float(((work_s / turns.seconds - speed) ** 2 * turns.seconds).sum())


def _fitted(turns: _Turns, memory_s: float) -> Numbers:
    """Return the rates on a host that remembers its speed for so long; NaN or 0 where unknown."""
    rates = _mean_rates(turns)
    beside_s = _others(turns.seconds, turns.middle, memory_s)
    for _ in range(_ROUNDS):
        speed = _speed(turns, turns.requests / rates[turns.of], beside_s, memory_s)
        before = rates
        rates = _mean_rates(turns, speed)
        if np.nanmax(np.abs(rates / before - 1)) < _CLOSE:
            break
    return rates


def _mean_rates(turns: _Turns, speed: Numbers | float = 1.0) -> Numbers:
    with np.errstate(invalid="ignore"):
        return turns.sums(turns.requests) / turns.sums(turns.seconds * speed)


def _speed(turns: _Turns, work_s: Numbers, beside_s: Numbers, memory_s: float) -> Numbers:
    """Return the host's speed in each slice, which the others tell; its mean is 1.

    `beside_s` are the seconds of the others, which count less the farther they are away.
    """
    beside_work_s = _others(work_s, turns.middle, memory_s)
    speed = np.divide(beside_work_s, beside_s, out=np.ones_like(work_s), where=beside_s > 0)
    return np.asarray(speed / np.average(speed, weights=turns.seconds))


def _others(values: Numbers, at: Numbers, memory_s: float) -> Numbers:
    """Return the sum of all other values at each moment, the less the farther these are away."""
    if math.isinf(memory_s):
        return np.asarray(values.sum() - values)
    return _earlier(values, at / memory_s) + _earlier(values[::-1], -at[::-1] / memory_s)[::-1]


def _earlier(values: Numbers, at: Numbers) -> Numbers:
    """Return the sum of all earlier values at each moment, in units of the memory.

    In stretches, as a value that is to be forgotten is made to grow until then instead.
    """
    found = np.zeros_like(values)
    begin, kept = 0, 0.0
    while begin < len(values):
        end = int(np.searchsorted(at, at[begin] + _LONGEST_STRETCH, side="right"))
        grown = np.exp(at[begin:end] - at[begin])
        sums = kept + np.cumsum(values[begin:end] * grown)
        found[begin:end] = (sums - values[begin:end] * grown) / grown
        if end < len(values):
            kept = float(sums[-1] * np.exp(at[begin] - at[end]))
        begin = end
    return found
