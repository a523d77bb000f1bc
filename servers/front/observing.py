"""What an observed server does beyond serving: it counts requests, and notes how its workers are.

Loaded only there: see `servers.front.tally`. A worker counts when it has answered, before its mode
tidies up, so the latency is what the client waited for, from the complete request on.
"""

from __future__ import annotations

import os
import time

from servers.front.pool import Pool
from servers.front.scoreboard import Slot
from servers.front.tally import Row, Tally, nowhere, places_of
from servers.front.worker import Worker
from servers.http import Request, Response

TYPE_CHECKING = False  # what mypy believes to be true, as that of `typing`
if TYPE_CHECKING:
    import socket
    from collections.abc import Iterable
    from typing import ClassVar

    from servers.mode import Answered, IsolationMode


class Observing(Worker):
    """A worker that counts its requests; mixed into the class of a mode's workers."""

    tally: ClassVar[Tally]
    places: ClassVar[dict[str, int]]

    _row: Row = nowhere()  # until it serves; what comes before is a rehearsal
    _began = 0
    _status = 0

    def serve(self, slot: Slot) -> None:
        """Count in the slot's own row from now on."""
        self._row = self.tally.row(slot.number, self.places)
        if not self.answers_in_children:
            self.tally.keep_from_children()
        super().serve(slot)

    def _handle(self, request: Request) -> Response | Answered:
        self._status = 500
        self._began = time.monotonic_ns()
        answer = super()._handle(request)
        self._status = answer.status if isinstance(answer, Response) else 200
        return answer

    def _clean_up(self, request: Request) -> None:
        took_ns = time.monotonic_ns() - self._began
        script = getattr(request, "script", None)  # none where no site was found
        self._row.count(script.site.name if script else "", self._status, took_ns)
        super()._clean_up(request)

    def _refuse(self, connection: socket.socket, response: Response, head_only: bool) -> None:
        self._row.refuse(response.status)
        super()._refuse(connection, response, head_only)


def observing(worker: type[Worker], tally: Tally, places: dict[str, int]) -> type[Worker]:
    """Return the class of a mode's workers with counting added."""
    return type(f"Observing{worker.__name__}", (Observing, worker), vars_of(tally, places))


def vars_of(tally: Tally, places: dict[str, int]) -> dict[str, object]:
    """Return the attributes of a class that counts."""
    return {"tally": tally, "places": places}


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
