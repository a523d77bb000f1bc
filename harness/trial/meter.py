"""The CPU time of a server in its own slices, and not while others have their turn.

A server that nobody asks is not at rest: its master looks at the workers, and has them tell what
they used, some thirty times a second, which was seen to take 3 to 5 ms of CPU time each second. A
target whose turn comes for a twentieth of the time would be charged twenty times that for its
requests, and the baseline, whose turn comes oftener, hardly anything. So the clock of the server's
cgroup is read at both ends of each of its stretches.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

EARLY_S = 0.001
"""How long before a stretch begins it is read: by then nobody sends, in the gap before it."""


@dataclass(frozen=True)
class Stretch:
    """Between two looks at the clock, on CLOCK_MONOTONIC, and the CPU time until the second.

    The first look is just before a slice, the second just before the next one of any target; on a
    host that has no processor for it, later. What counts is when it was.
    """

    begin_s: float
    end_s: float
    cpu_s: float


class Meter:
    """A thread that reads a server's clock at the ends of its stretches.

    A stretch that was over before its beginning was read is left out.
    """

    def __init__(
        self, cpu_s: Callable[[], float | None], stretches: Sequence[tuple[float, float]]
    ) -> None:
        """`stretches` are beginnings and ends on CLOCK_MONOTONIC, in order."""
        self._cpu_s = cpu_s
        self._wanted = stretches
        self._read: list[Stretch] = []
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def start(self) -> None:
        """Begin to wait for the first stretch."""
        self._thread.start()

    def stop(self) -> tuple[Stretch, ...]:
        """Wait no more, and return what was read. May be called when nothing was started."""
        self._stopped.set()
        if self._thread.ident is not None:
            self._thread.join()
        return tuple(self._read)

    def _run(self) -> None:
        for begin_s, end_s in self._wanted:
            if not self._await(begin_s - EARLY_S):
                return
            begun, before = time.monotonic(), self._cpu_s()
            if not self._await(end_s - EARLY_S):
                return
            ended, after = time.monotonic(), self._cpu_s()
            if before is None or after is None:
                return  # there is no such clock
            if begun < end_s - EARLY_S:
                self._read.append(Stretch(begun, ended, after - before))

    def _await(self, moment_s: float) -> bool:
        """Wait for a moment; return whether it is still of interest then."""
        return not self._stopped.wait(max(0.0, moment_s - time.monotonic()))
