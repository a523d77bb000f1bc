"""The front in Python of an observed server: it counts requests.

See `servers.front.shared_memory.tally`.
"""

from __future__ import annotations

import time

from servers.front.shared_memory.tally import Row, Tally, nowhere
from servers.front.workers.observing import vars_of
from servers.kernel.credentials import Identity
from servers.modes.router.client_side import Connection
from servers.modes.router.front import Front
from servers.sites import Site

TYPE_CHECKING = False  # what mypy believes to be true, as that of `typing`
if TYPE_CHECKING:
    from typing import ClassVar, Final, NoReturn

    from servers.front.shared_memory.scoreboard import Slot
    from servers.http import Response

_NO_SITE: Final = Site("", "/", Identity(0, 0))


class ObservingFront(Front):
    """Counts a request when it is answered, from when its site was looked for."""

    tally: ClassVar[Tally]
    places: ClassVar[dict[str, int]]

    _row: Row = nowhere()

    def serve(self, slot: Slot) -> NoReturn:
        """Count in the slot's row from now on."""
        self._row = self.tally.row(slot.number, self.places)
        self._begun: dict[int, int] = {}  # by the connection's descriptor, in ns
        super().serve(slot)

    def _route(self, connection: Connection, host: bytes, content: bytes) -> None:
        self._begun[connection.descriptor] = time.monotonic_ns()
        connection.site = _NO_SITE
        super()._route(connection, host, content)

    def _reply(self, connection: Connection, response: Response, keep: bool) -> None:
        began = self._begun.pop(connection.descriptor, 0)
        if began:
            took_ns = time.monotonic_ns() - began
            self._row.count(connection.site.name, response.status, took_ns)
        else:  # OPTIONS *
            self._row.refuse(response.status)
        super()._reply(connection, response, keep)

    def _refuse_request(self, connection: Connection, response: Response) -> None:
        self._row.refuse(response.status)
        super()._refuse_request(connection, response)

    def _sweep(self, now: float) -> None:
        super()._sweep(now)
        self.tally.note("tenant_workers", self._dispatch.workers)
        self.tally.note("tenant_workers_busy", self._dispatch.busy)


def observing(tally: Tally, places: dict[str, int]) -> type[Front]:
    """Return the class of a front that counts."""
    return type("ObservingFront", (ObservingFront,), vars_of(tally, places))
