"""What a worker of an observed server does beyond serving: it counts requests.

Loaded only there: see `servers.front.shared_memory.tally`. A worker counts when it has answered,
before its mode tidies up, so the latency is what the client waited for, from the complete request
on.
"""

from __future__ import annotations

import time

from servers.front.shared_memory.scoreboard import Slot
from servers.front.shared_memory.tally import Row, Tally, nowhere
from servers.front.workers.worker import Worker
from servers.http import Request, Response

TYPE_CHECKING = False  # what mypy believes to be true, as that of `typing`
if TYPE_CHECKING:
    import socket
    from typing import ClassVar

    from servers.mode import Answered


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
