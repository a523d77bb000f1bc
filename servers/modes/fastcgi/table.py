"""Who uses which tenant's worker: a table in memory that the fronts and the starter share.

A front claims an idle worker that it has a channel to and releases it after the answer, without a
word to anybody. Each worker has a slot of four numbers:

serial
    Which worker it is, never used twice; 0, no living one. The starter's to write.
owner
    0, idle; the number of the front that has claimed it; `ENDING`, it is about to be ended.
use
    When it was last claimed, by a clock that counts claims.
wanted
    1 while its release would help somebody who waits. The starter's to write.

Strategy: to claim takes the lock, so that one front gets a worker; to release is one store, by the
owner. A slot is given to another worker only when nobody owns it: whoever is late to release a dead
worker harms no other. The lock is one of fcntl(2), which the kernel releases when its holder dies;
a dead front's claims stay, for the starter to see to.

Who releases stores 0 and then reads `wanted`; who waits has `wanted` stored and then looks for 0.
A processor may let that read pass that store, so a front reads `wanted` a second time after it has
sent its response: the kernel's locks on the way are barriers.
"""

from __future__ import annotations

import fcntl
import mmap
import os

TYPE_CHECKING = False  # what mypy believes to be true, as that of `typing`
if TYPE_CHECKING:
    from typing import Final

NOBODY: Final = 0
ENDING: Final = 2**64 - 1

_NUMBER_BYTES: Final = 8
_CLOCK, _FRONTS, _FIRST = range(3)
_COLUMNS: Final = 4


class Table:
    """The table. Made in the master, for the starter and all fronts to inherit."""

    def __init__(self, slots: int) -> None:
        """Make an empty table of so many slots."""
        self._file = os.memfd_create("workers", os.MFD_CLOEXEC)
        size = (_FIRST + _COLUMNS * slots) * _NUMBER_BYTES
        os.ftruncate(self._file, size)
        self._memory = mmap.mmap(self._file, size)
        self._numbers = memoryview(self._memory).cast("Q")
        columns = range(_FIRST, _FIRST + _COLUMNS * slots, slots)
        self.serials, self.owners, self.uses, self.wanted = (
            self._numbers[start : start + slots] for start in columns
        )

    def keep_from_children(self) -> None:
        """Have no process that this one forks inherit the memory. Its descriptor it must close."""
        self._memory.madvise(mmap.MADV_DONTFORK)

    def lock(self) -> None:
        """Wait until nobody else claims anything. Not to be nested."""
        fcntl.lockf(self._file, fcntl.LOCK_EX, 1)

    def unlock(self) -> None:
        """Let others claim. Does no harm where there is no lock."""
        fcntl.lockf(self._file, fcntl.LOCK_UN, 1)

    def enroll(self) -> int:
        """Return a number for the calling process, as a front's, that no other has."""
        self.lock()
        try:
            self._numbers[_FRONTS] += 1
            return self._numbers[_FRONTS]
        finally:
            self.unlock()

    def may_claim(self, slot: int) -> bool:
        """Say whether the worker of a slot is idle, and nobody who waits would come first."""
        return not self.owners[slot] and not self.wanted[slot]

    def give(self, slot: int, front: int) -> None:
        """Note that a front has a worker. Under the lock."""
        self.owners[slot] = front
        self._numbers[_CLOCK] = self.uses[slot] = self._numbers[_CLOCK] + 1

    def free_slot(self) -> int | None:
        """Return a slot without a worker and without an owner. For the starter only."""
        for slot, serial in enumerate(self.serials):
            if not serial and not self.owners[slot]:
                return slot
        return None
