"""What the workers tell the master, through memory that all of them share.

One slot a worker, of 64-bit integers; times are in nanoseconds. A hostile script in an embedded
mode can write here as well. So the master takes numbers from it, never process ids, and integers,
of which there is no bit pattern that arithmetic stumbles over, as it does over a NaN.
"""

from __future__ import annotations

import mmap
import os
import time

from servers.front.shared_memory.turns import Turns, words
from servers.front.shared_memory.usage import Usage, own_usage

TYPE_CHECKING = False  # what mypy believes to be true, as that of `typing`
if TYPE_CHECKING:
    from typing import Final

_BUSY_SINCE: Final = 0
_SERVED: Final = 1
_PUBLISHED: Final = 2
_STARTED: Final = 3
_COMPILED: Final = 4
_USAGE: Final = 5


_SLOT: Final = _USAGE + len(Usage._fields)
_SLOT_BYTES: Final = _SLOT * 8


class Slot:
    """One worker's place on the scoreboard, the `number`th."""

    __slots__ = ("_turns", "_values", "number", "turn")

    def __init__(self, number: int, values: memoryview[int], turns: Turns) -> None:
        self.number = number
        self.turn = turns.turn(number)
        self._turns = turns
        self._values = values

    def start(self) -> None:
        """Note that this worker is ready to serve. In the worker."""
        self._values[_STARTED] = 1

    def started(self) -> bool:
        """Return whether the slot's worker was ever ready to serve."""
        return self._values[_STARTED] != 0

    def begin(self) -> None:
        """Note that a request is being handled, from now on. In the worker."""
        self._values[_BUSY_SINCE] = time.monotonic_ns()

    def end(self) -> None:
        """Note that the request is done with. In the worker."""
        values = self._values
        values[_SERVED] += 1
        values[_BUSY_SINCE] = 0

    def follow(self, served: int, since_ns: int) -> None:
        """Note what has been served in all, and since when a child works. In its worker."""
        self._values[_SERVED] = served
        self._values[_BUSY_SINCE] = since_ns

    def count(self) -> None:
        """Note that a request was answered. In a worker that serves many at the same time."""
        self._values[_SERVED] += 1

    def count_compiled(self) -> None:
        """Note that a script was compiled, since the cache did not have its code. In the worker."""
        self._values[_COMPILED] += 1

    def compiled(self) -> int:
        """Return how many scripts the holders of this slot have compiled."""
        return self._values[_COMPILED]

    def busy_seconds(self) -> float:
        """Return for how long the worker has been handling its request; 0.0 when it is idle."""
        since = self._values[_BUSY_SINCE]
        return (time.monotonic_ns() - since) / 1e9 if since else 0.0

    def publish_usage(self) -> None:
        """Write down what this worker has used so far. In the worker, when it is asked to."""
        for position, value in enumerate(own_usage(), _USAGE):
            self._values[position] = value
        self._values[_PUBLISHED] += 1

    def published(self) -> int:
        """Return how often `publish_usage` was called, to tell an old report from a new one."""
        return self._values[_PUBLISHED]

    def usage(self) -> Usage:
        """Return what the worker last published."""
        return Usage(*self._values[_USAGE:_SLOT])

    def served(self) -> int:
        """Return how many requests the holders of this slot have served, one after the other."""
        return self._values[_SERVED]

    def renew(self) -> None:
        """Make the slot ready for another worker, keeping the counts. In the master."""
        self._values[_BUSY_SINCE] = self._values[_STARTED] = 0
        for position in range(_USAGE, _SLOT):
            self._values[position] = 0
        self._turns.vacate(self.number)


class Scoreboard:
    """The slots of a pool."""

    def __init__(self, workers: int, file: int = -1) -> None:
        """Map the slots: of a `scoreboard_file`, or of memory that only forked processes share."""
        self._memory = mmap.mmap(file, _size(workers))
        self.turns = Turns(self._memory, workers * _SLOT_BYTES, workers)
        values = memoryview(self._memory).cast("q")
        self.slots = [
            Slot(n, values[n * _SLOT : (n + 1) * _SLOT], self.turns) for n in range(workers)
        ]

    def keep_from_children(self) -> None:
        """Leave the scoreboard out of every process forked from now on. In the worker.

        A script in a child of the worker could falsify it, and so have all the time it likes. What
        uses it there all the same ends by SIGSEGV (madvise(2), MADV_DONTFORK).
        """
        self._memory.madvise(mmap.MADV_DONTFORK)

    @classmethod
    def inherited(cls, file: int) -> Scoreboard:
        """Return the scoreboard in a file that another process has made."""
        spare = words(0) * 8  # what does not depend on the number of workers
        return cls((os.fstat(file).st_size - spare) // (_SLOT_BYTES + 8), file)


def _size(workers: int) -> int:
    return workers * _SLOT_BYTES + words(workers) * 8


def scoreboard_file(workers: int) -> int:
    """Return the descriptor of a file in memory, to be mapped by processes that are not forked.

    Its size is sealed: a script that shortened it would kill the master at its next look (SIGBUS,
    mmap(2)).
    """
    import fcntl  # here, since it is a library more for each fork to map

    file = os.memfd_create("scoreboard", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    os.ftruncate(file, _size(workers))
    seals = fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_SEAL
    fcntl.fcntl(file, fcntl.F_ADD_SEALS, seals)
    return file
