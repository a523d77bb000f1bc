"""A tenant as the supervisor sees it: listener and lobby, and the workers that accept there.

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

from servers.front.shared_memory.scoreboard import Scoreboard
from servers.front.starters.run_delay import RunDelay, Wish
from servers.front.starters.starter import WorkerProcess
from servers.front.workers.worker import BACKLOG
from servers.kernel.process_table import descendants
from servers.kernel.reaping import kill, send
from servers.modes.address.addresses import address_of
from servers.modes.address.crowding import PATIENCE_SECONDS
from servers.modes.address.lobby import Lobby
from servers.modes.address.tenant_worker import TO_END, TO_SHARE
from servers.sites import Site

_GRACE_SECONDS: Final = 1.0
_DEAF_SECONDS: Final = 1.0
_MOST_TURNED_AWAY: Final = 64
_TCP_INFO_BYTES: Final = 32
_WAITING: Final = struct.Struct("<24xI")
"""tcpi_unacked of struct tcp_info (linux/tcp.h): of a listener, how many wait to be accepted."""
_REFUSAL: Final = (
    b"HTTP/1.1 503 Service Unavailable\r\nContent-Type: text/plain\r\nContent-Length: 47\r\n"
    b"Connection: close\r\n\r\nthe server cannot start a process of the tenant"
)


class SupervisedWorker(WorkerProcess):
    """A tenant's worker, and what it counts on `board`: see `SLOTS`.

    `place` is its own among the tenant's workers, from 1 on.
    """

    def __init__(
        self, tenant: Tenant, process: int, board: Scoreboard, now: float, place: int
    ) -> None:
        super().__init__(tenant.site.owner, process)
        self.tenant = tenant
        self.place = place
        self._board = board
        self.requests, self._arrivals, self._holds = board.slots
        self.since = now  # when it was last seen to have done something
        self._seen = (0, 0)
        self.told_at = 0.0
        self.makes_room = False
        self._warnings = 0
        self._shares = False
        self._delay = RunDelay(process)
        # A script of a later worker could falsify it, were it mapped there.
        board.keep_from_children()

    def accepted(self) -> int:
        """Return how many connections it says that it has accepted."""
        return self._arrivals.served()

    def keeps_connections(self) -> bool:
        """Return whether it says that it keeps connections besides that which it serves."""
        return self._holds.served() > 0

    def share(self) -> None:
        """Have it leave these to other workers, once in a script that takes long."""
        takes_long = self.requests.busy_seconds() >= PATIENCE_SECONDS
        if takes_long and not self._shares and self.keeps_connections():
            send(self.process, TO_SHARE)
        self._shares = takes_long

    def waits_for_processor(self, now: float) -> bool:
        """Return whether, since the last call, it has long been ready to run, and did not."""
        return self._delay.is_high(now)

    def is_deaf(self, now: float) -> bool:
        """Return whether it has done nothing for so long that it does not see who waits."""
        return self.is_idle() and now - self.since > _DEAF_SECONDS

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
        self.wish = Wish()
        self.lobby = Lobby.new()
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
        # Its workers wait for more than this, and one that finds nobody must not wait here.
        os.set_blocking(self.listener.fileno(), False)
        self.listener.listen(BACKLOG)
        if not self.lobby.is_sound():
            self.lobby.close()
            self.lobby = Lobby.new()

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
        """Return how many connections wait to be accepted, or taken over."""
        info = self.listener.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _TCP_INFO_BYTES)
        waiting: int = _WAITING.unpack_from(info)[0]
        return waiting + (not self.lobby.is_empty())

    def accepted(self) -> int:
        """Return how many connections its workers say that they have accepted."""
        return sum(worker.accepted() for worker in self.workers)

    def free_place(self) -> int:
        """Return the first place, from 1 on, that none of its workers has."""
        taken = {worker.place for worker in self.workers}
        return next(place for place in range(1, len(taken) + 2) if place not in taken)

    def turn_away(self) -> None:
        """Refuse whoever waits: no process can be had."""
        with contextlib.suppress(OSError):
            for _ in range(_MOST_TURNED_AWAY):
                connection, _ = self.listener.accept()
                with connection, contextlib.suppress(OSError):
                    connection.send(_REFUSAL)
