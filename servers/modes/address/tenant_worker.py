"""A tenant's worker: accepts at the tenant's own address, parses, runs the script, answers.

It is the worker of a pool in all but where it comes from and how it ends. When it is told to end it
lets go of the listener, so that the next accept fails, be it one that waits already: a connection
that it has accepted is served, and one that it has not is still in the queue, for another. So no
request is lost to that.
"""

from __future__ import annotations

import errno

from servers.front.scoreboard import Scoreboard
from servers.front.worker import Worker
from servers.http import Request, Response
from servers.mode import Answered, IsolationMode
from servers.sites import NotFound, Site, Sites

TYPE_CHECKING = False  # what mypy believes to be true, as that of `typing`
if TYPE_CHECKING:
    import signal
    import socket
    from types import FrameType
    from typing import Final
else:
    import _signal as signal
    import _socket as socket

TO_END: Final = signal.SIGUSR2
# What says that there is no such script, whoever looks.
_OF_THE_FILE: Final = (errno.ENOENT, errno.ENOTDIR, errno.ELOOP)
_ITS_OWN_KEEPER: Final = 1
"""Passes for the master's pid where a worker sees by itself to ending with its parent."""


class OneSite(Sites):
    """The site of the tenant whose address this is; no other is to be had here."""

    def __init__(self, site: Site) -> None:
        self._site = site

    def find(self, host: bytes) -> Site:
        """Return the site if the Host header names it. Raises NotFound."""
        name = host.partition(b":")[0].partition(b".")[0].lower()
        if name.decode("latin-1") != self._site.name:
            raise NotFound("this is the address of another tenant")
        return self._site


class TenantWorker(Worker):
    """Serves connections to one tenant's address until it is told to end."""

    def __init__(self, listener: socket.socket, mode: IsolationMode, site: Site) -> None:
        """Made in the worker's own process; the rehearsal's, in the supervisor."""
        super().__init__(_ITS_OWN_KEEPER, listener, mode, OneSite(site))
        self._told_to_end = False
        self._kept: socket.socket | None = None
        self._arrivals = Scoreboard(1).slots[0]
        signal.signal(TO_END, self._on_end)

    def serve_on(self, board: Scoreboard, place: int) -> None:
        """Serve, and count on a board of two slots: requests, and connections accepted.

        `place` is the worker's among those of its tenant; 0 is that of the pool's worker.
        """
        slot, self._arrivals = board.slots
        slot.number = place
        try:
            self.serve(slot)
        except OSError:
            if not self._told_to_end:
                raise

    def _serve_connection(self, connection: socket.socket, remote: tuple[str, int]) -> None:
        self._arrivals.count()
        super()._serve_connection(connection, remote)
        self._kept = None

    def _answer(self, connection: socket.socket, request: Request) -> bool:
        """Serve one request; keep the connection for another unless this worker is to end."""
        self._kept = None
        request.keep_alive = request.keep_alive and not self._told_to_end
        keep = super()._answer(connection, request)
        self._kept = connection if keep else None
        return keep and not self._told_to_end

    def _locate_and_run(self, request: Request) -> Response | Answered:
        """Run the script; end after a script that cannot be opened, unless there is none.

        That may be the fault of this process, for which an earlier script can have seen.
        """
        try:
            return super()._locate_and_run(request)
        except OSError as error:
            if error.errno not in _OF_THE_FILE:
                request.keep_alive = False
                self._left = 0
            raise

    def _on_end(self, _signal: int, _frame: FrameType | None) -> None:
        """Let go of the listener, and of a client that has its answer.

        A server may close such a connection at any time (RFC 9112, section 9.5).
        """
        self._told_to_end = True
        self._listener.close()
        if self._kept is not None:
            try:
                self._kept.shutdown(socket.SHUT_RD)
            except OSError:
                pass  # the client has closed it
