"""What the master does about scripts that exceed their time limit.

1. At the limit, the script's worker gets SIGALRM and answers 504.
2. One grace period later, the master kills all descendants of the worker: it alone can kill a
   program that runs under a tenant's uid.
3. Another grace period later, the master kills the worker and starts a new one.
"""

from __future__ import annotations

from servers.kernel.process_table import descendants
from servers.kernel.reaping import kill, send

TYPE_CHECKING = False  # what mypy believes to be true, as that of `typing`
if TYPE_CHECKING:
    import signal
    from collections.abc import Iterator, Mapping
    from typing import Final

    from servers.front.master.oversight import Oversight
    from servers.front.shared_memory.scoreboard import Slot
else:  # without `enum`, of which its constants are made
    import _signal as signal

_GRACE_SECONDS: Final = 1.0


class Overdue:
    """Hurries workers whose script has had its time. Used in the master."""

    def __init__(self, limit: float, oversight: Oversight) -> None:
        """`limit` is how long a script may take, in seconds."""
        self._limit = limit
        self._oversight = oversight
        self._warned: dict[int, int] = {}

    def hurry(self, workers: Mapping[int, Slot]) -> Iterator[int]:
        """Take the next step with each worker whose time for it has come; yield those killed."""
        for process, slot in workers.items():
            late = slot.busy_seconds() - self._limit
            if late < 0:
                self._warned.pop(process, None)
                continue
            steps = self._warned.get(process, 0)
            if late < steps * _GRACE_SECONDS:
                continue
            self._warned[process] = steps + 1
            if steps == 0:
                send(process, signal.SIGALRM)
            else:
                self._kill_descendants(process)
            if steps > 1:
                yield process
                kill(process)

    def _kill_descendants(self, process: int) -> None:
        below = descendants(process)
        self._oversight.free_all((process, *below))
        for descendant in below:
            kill(descendant)

    def forget(self, process: int) -> None:
        """Note that a worker has ended."""
        self._warned.pop(process, None)
