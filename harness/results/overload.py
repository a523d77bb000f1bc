"""When an open load exceeded a target's capacity, and what its quantiles mean then. Pure.

An overloaded target's queue grows as long as the load lasts: its times depend on the length of the
trial more than on the target. Its rate is its capacity, which is why such a trial is
not void.
"""

from __future__ import annotations

from workloads.load.schedule import DRAIN_S

LEAST_SHARE = 0.95
"""Of the offered rate: who answers less of it in time is overloaded."""


def overloaded(answered_per_second: float, offered_per_second: float) -> bool:
    """Return whether a target was offered more than it could serve; False if unknown."""
    return answered_per_second < LEAST_SHARE * offered_per_second


def is_lower_bound(quantile_ms: float, dropped: float) -> bool:
    """Return whether the true quantile may be longer.

    Dropped requests count with the time that they were waited for, at least `DRAIN_S`; so all
    quantiles below that are exact.
    """
    return dropped > 0 and quantile_ms >= 1000 * DRAIN_S
