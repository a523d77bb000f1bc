"""What the master of an observed server does beyond serving: it notes how its workers are.

Loaded only there: see `servers.front.shared_memory.tally`.
"""

from __future__ import annotations

import os

from servers.front.master.pool import Pool
from servers.front.shared_memory.scoreboard import Slot
from servers.front.shared_memory.tally import Tally, places_of
from servers.front.workers.worker import Worker

TYPE_CHECKING = False  # what mypy believes to be true, as that of `typing`
if TYPE_CHECKING:
    from collections.abc import Iterable

    from servers.mode import IsolationMode


def observe(mode: IsolationMode, file: int, sites: Iterable[str]) -> type[Pool]:
    """Have workers of `mode` count; return the class of their pool. In the master, first of all.

    `file` is the descriptor of a `Tally`. It stays open only for those that are executed: no
    script is to find it. Nor is the memory for what `master_init` forks, unless it counts there.
    """
    tally, places = Tally(file), places_of(sites)
    if not mode.own_addresses:
        tally.keep_from_children()
    mode.tally = tally, places
    mode.pool_worker = (mode.pool_worker or Worker).observed(tally, places)
    if mode.setting.options.get("worker_start") != "exec" and not mode.pool_worker.executes:
        os.close(file)
    return type("ObservingPool", (ObservingPool,), {"tally": tally})


class ObservingPool(Pool):
    """A pool whose master notes, at each look, how many workers there are and how many are busy."""

    tally: Tally
    _replaced = 0

    def run(self, ready: str) -> None:
        """Serve as a pool does; the workers that it forks are to count."""
        self.tally.give_to_children()
        super().run(ready)

    def _look_after_workers(self) -> None:
        super()._look_after_workers()
        note = self.tally.note
        note("workers", len(self._workers))
        note("workers_busy", sum(slot.busy_seconds() > 0 for slot in self._workers.values()))
        note("workers_replaced", self._replaced)
        beside = self._mode.counts()
        for name in ("worker_starts", "evictions"):
            if name in beside:
                note(f"tenant_{name.replace('evictions', 'worker_evictions')}", beside[name])

    def _replace(self, process: int, slot: Slot) -> None:
        self._replaced += 1
        super()._replace(process, slot)
