"""Whether a tenant's connections wait for too long, so that it needs another worker. Pure.

The kernel tells how many wait (TCP_INFO), not since when. So the wait is estimated by Little's law
from two looks: who comes last waits until all before it are accepted, at the pace at which the
tenant's workers have accepted since the look before. Where they have accepted nobody, somebody has
waited for all that time.
"""

from __future__ import annotations

TYPE_CHECKING = False  # what mypy believes to be true, as that of `typing`
if TYPE_CHECKING:
    from typing import Final

PATIENCE_SECONDS: Final = 0.02


def expected_wait(waiting: int, accepted: int, seconds: float) -> float:
    """Return for how long the last of `waiting` connections waits, in seconds.

    `accepted` is how many were accepted in the last `seconds`.
    """
    if not waiting:
        return 0.0
    return waiting * seconds / accepted if accepted else seconds


class Queue:
    """What was seen of a tenant's queue at the last look."""

    __slots__ = ("accepted", "since")

    def __init__(self, now: float, accepted: int) -> None:
        """`accepted` is how many connections the tenant's workers have accepted so far."""
        self.since = now
        self.accepted = accepted

    def is_too_long(self, now: float, waiting: int, accepted: int) -> bool:
        """Look again; return whether another worker is called for."""
        news = accepted - self.accepted
        wait = expected_wait(waiting, news, now - self.since)
        if news or wait >= PATIENCE_SECONDS:
            self.since, self.accepted = now, accepted
        return wait >= PATIENCE_SECONDS
