"""When an open load was more than a target could take, and what its quantiles say then. Pure.

Under more than it can take a target's queue grows as long as the load lasts: its times tell of the
length of the trial more than of the target. Its rate is its capacity, which is why such a trial is
not void.
"""

from __future__ import annotations

from workloads.load.schedule import DRAIN_S

LEAST_SHARE = 0.95
"""Of the offered rate: who answers less of it in time is overloaded."""


def overloaded(answered_per_second: float, offered_per_second: float) -> bool:
    """Return whether a target was offered more than it could take; not where nothing is known."""
    return answered_per_second < LEAST_SHARE * offered_per_second


def is_lower_bound(quantile_ms: float, dropped: float) -> bool:
    """Return whether the true quantile may be longer.

    Dropped requests count with the time that they were waited for, at least `DRAIN_S`; so all
    quantiles below that are exact.
    """
    return dropped > 0 and quantile_ms >= 1000 * DRAIN_S
