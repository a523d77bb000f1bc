"""Whether what a process lacks is a processor. Another process of its kind would not help it then.

On a busy processor, requests wait for long because their worker does. One worker more makes all of
them slower: its memory is in no cache, and it takes its share of the time. So queues grow, more
workers are started, and that goes on by itself, also when the rate is one that fewer workers serve.
"""

from __future__ import annotations

from typing import Final

_HIGH: Final = 0.2
_STALE_SECONDS: Final = 0.2
PATIENCE_SECONDS: Final = 1.0
"""For how long another worker is refused for lack of a processor: what waits may be a script."""


class RunDelay:
    """For how long a process was ready to run and did not, as the kernel counts it.

    Field 2 of /proc/PID/schedstat, in nanoseconds (Documentation/scheduler/sched-stats.rst).
    """

    def __init__(self, process: int) -> None:
        self._path = f"/proc/{process}/schedstat"
        self._seen = (0.0, 0)

    def is_high(self, now: float) -> bool:
        """Return whether it was, for much of the time since the last call.

        Also where that is too long ago to tell: it can be asked again a moment later.
        """
        try:
            with open(self._path, "rb") as file:
                waited = int(file.read().split()[1])
        except (OSError, ValueError, IndexError):
            return False  # this kernel does not tell, or the process has ended
        (before, waited_before), self._seen = self._seen, (now, waited)
        if now - before > _STALE_SECONDS:
            return True
        return waited - waited_before > _HIGH * (now - before) * 1e9


class Wish:
    """That of a tenant for another worker, since when it lasts without a break."""

    def __init__(self) -> None:
        self._since = self._last = float("-inf")

    def is_urgent(self, now: float) -> bool:
        """Note that it lasts; return whether it has for so long that the processor is no reason."""
        if now - self._last > _STALE_SECONDS:
            self._since = now
        self._last = now
        return now - self._since >= PATIENCE_SECONDS
