"""A tenant as the supervisor sees it: the listener, and the workers that accept there.

Of a worker the supervisor knows what it counts on a page that the two share, and whether it takes
too long; of a listener, whether somebody waits there and how many (TCP_INFO).
"""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import struct
from typing import Final

from servers.front.oversight import descendants
from servers.front.scoreboard import Scoreboard
from servers.front.starter import WorkerProcess
from servers.front.worker import BACKLOG
from servers.kernel.reaping import kill
from servers.modes.address.addresses import address_of
from servers.modes.address.tenant_worker import TO_END
from servers.sites import Site

_GRACE_SECONDS: Final = 1.0
_MOST_TURNED_AWAY: Final = 64
_TCP_INFO_BYTES: Final = 32
_WAITING: Final = struct.Struct("<24xI")
"""tcpi_unacked of struct tcp_info (linux/tcp.h): of a listener, how many wait to be accepted."""
_REFUSAL: Final = (
    b"HTTP/1.1 503 Service Unavailable\r\nContent-Type: text/plain\r\nContent-Length: 47\r\n"
    b"Connection: close\r\n\r\nthe server cannot start a process of the tenant"
)


class SupervisedWorker(WorkerProcess):
    """A tenant's worker, and what it counts on `board`: requests, and connections accepted.

    `place` is its own among the tenant's workers, from 1 on.
    """

    def __init__(
        self, tenant: Tenant, process: int, board: Scoreboard, now: float, place: int
    ) -> None:
        super().__init__(tenant.site.owner, process)
        self.tenant = tenant
        self.place = place
        self._board = board
        self.requests, self._arrivals = board.slots
        self.since = now  # when it was last seen to have done something
        self._seen = (0, 0)
        self.told_at = 0.0
        self.makes_room = False
        self._warnings = 0
        # A script of a later worker could falsify it, were it mapped there.
        board.keep_from_children()

    def accepted(self) -> int:
        """Return how many connections it says that it has accepted."""
        return self._arrivals.served()

    def is_idle(self) -> bool:
        """Return whether it is ready to serve, does not, and was not told to end."""
        ready = self.requests.started() and not self.told_at
        return ready and self.requests.busy_seconds() <= 0

    def look(self, now: float) -> None:
        """Note whether it has done something since the last look."""
        seen = self.requests.served(), self.accepted()
        if seen != self._seen or self.requests.busy_seconds() > 0:
            self._seen = seen
            self.since = now

    def tell_to_end(self, now: float) -> None:
        """Have it end by itself, between two connections."""
        self.told_at = now
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.process, TO_END)

    def hurry(self, now: float, limit: float) -> None:
        """End what takes too long: a script, first politely, or the worker's own end."""
        late = self.requests.busy_seconds() - limit
        if late < 0:
            self._warnings = 0
            stays = self.told_at and now > self.told_at + limit
            if stays:
                self.kill()
        elif late >= self._warnings * _GRACE_SECONDS:
            self._warnings += 1
            self._hurry_script()

    def _hurry_script(self) -> None:
        if self._warnings == 1:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.process, signal.SIGALRM)
        elif self._warnings == 2:
            for process in descendants(self.process):
                kill(process)
        else:
            self.kill()


class Tenant:
    """One site, its listener, and its workers, if it has any."""

    def __init__(self, site: Site, port: int, patience: float) -> None:
        """Listen. Raises OSError."""
        self.site = site
        self._address = (address_of(site.owner.uid), port)
        self._patience = patience
        self.workers: list[SupervisedWorker] = []
        self._listen()

    def _listen(self) -> None:
        self.listener = socket.socket()
        self.listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.listener.bind(self._address)
        self.restore()

    def restore(self) -> None:
        """Put the listener right, which the tenant's scripts may have got hold of.

        Only while the tenant has no worker. Raises OSError, such as when something that a script
        has left running holds the address.
        """
        patience = struct.pack("ll", int(self._patience), int(self._patience % 1 * 1e6))
        options = self.listener.setsockopt
        options(socket.SOL_SOCKET, socket.SO_RCVTIMEO, patience)
        options(socket.SOL_SOCKET, socket.SO_SNDTIMEO, patience)
        options(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        os.set_blocking(self.listener.fileno(), True)
        self.listener.listen(BACKLOG)

    def listens(self) -> bool:
        """Return whether the listener is what it was made as."""
        return (
            self.listener.getsockname() == self._address
            and self.listener.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN) == 1
        )

    def listen_again(self) -> None:
        """Replace a listener that is none any longer. Raises OSError."""
        self.listener.close()
        self._listen()

    def waiting(self) -> int:
        """Return how many connections wait to be accepted."""
        info = self.listener.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _TCP_INFO_BYTES)
        waiting: int = _WAITING.unpack_from(info)[0]
        return waiting

    def accepted(self) -> int:
        """Return how many connections its workers say that they have accepted."""
        return sum(worker.accepted() for worker in self.workers)

    def free_place(self) -> int:
        """Return the first place, from 1 on, that none of its workers has."""
        taken = {worker.place for worker in self.workers}
        return next(place for place in range(1, len(taken) + 2) if place not in taken)

    def turn_away(self) -> None:
        """Refuse whoever waits: no process can be had."""
        self.listener.setblocking(False)
        with contextlib.suppress(OSError):
            for _ in range(_MOST_TURNED_AWAY):
                connection, _ = self.listener.accept()
                with connection, contextlib.suppress(OSError):
                    connection.send(_REFUSAL)
        self.listener.setblocking(True)
