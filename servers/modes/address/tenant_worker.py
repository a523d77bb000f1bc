"""A tenant's worker: accepts at the tenant's own address, parses, runs the script, answers.

It serves requests as the worker of a pool does, but keeps many connections. When it is told to end
it lets go of the listener: a request that it has received is served, and a connection that it has
not accepted is still in the queue, for another. So no request is lost to that.
"""

from __future__ import annotations

import errno
import select
import time

from servers.front.shared_memory.scoreboard import Scoreboard, Slot
from servers.front.workers.worker import (
    CHUNK,
    LINGER_SECONDS,
    MOST_DRAINED,
    Worker,
    connection_of,
    end,
)
from servers.http import (
    BadRequest,
    Request,
    RequestParser,
    Response,
    longest_target,
    plain_request,
    plain_response,
)
from servers.mode import Answered, IsolationMode
from servers.modes.address.lobby import Lobby
from servers.sites import NotFound, Site, Sites

TYPE_CHECKING = False  # what mypy believes to be true, as that of `typing`
if TYPE_CHECKING:
    import signal
    import socket
    from collections.abc import Iterable
    from types import FrameType
    from typing import Final
else:
    import _signal as signal
    import _socket as socket

TO_END: Final = signal.SIGUSR2
TO_SHARE: Final = signal.SIGUSR1
"""Says that the script takes long, and other connections may be served elsewhere."""
SLOTS: Final = 3
"""Of a worker's board: requests, connections accepted, and connections that it keeps."""

_NEVER: Final = float("inf")
_MOST_KEPT: Final = 100  # a worker behind walls may have 256 descriptors
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


class Kept:
    """A connection that this worker has accepted, or taken over, and not finished with.

    `deadline` is when it ends by itself: the whole of what has begun to come must be there by then,
    or the next request. One that is `leaving` has its last answer; what still comes is thrown away.
    """

    __slots__ = ("connection", "deadline", "drained", "leaving", "parser", "remote")

    def __init__(self, connection: socket.socket, remote: tuple[str, int]) -> None:
        self.connection = connection
        self.remote = remote
        self.parser: RequestParser | None = None  # until something comes that is not plain
        self.deadline = 0.0
        self.leaving = False
        self.drained = 0

    @property
    def mid_message(self) -> bool:
        """Whether a request has begun that is not complete."""
        return self.parser is not None and self.parser.mid_message


class TenantWorker(Worker):
    """Serves connections to one tenant's address until it is told to end.

    Strategy. It waits for all of its connections at once, and for new ones, so that a client that
    keeps a connection, or sends slowly, holds up nobody (as Apache's event MPM has it). It runs one
    script at a time. When that takes long, the supervisor has the worker put its other connections
    into the *lobby*, from which another worker of the tenant takes them.
    """

    def __init__(
        self,
        listener: socket.socket,
        mode: IsolationMode,
        site: Site,
        lobby: Lobby | None = None,
    ) -> None:
        """Made in the worker's own process; the rehearsal's, in the supervisor, has no `lobby`."""
        super().__init__(_ITS_OWN_KEEPER, listener, mode, OneSite(site))
        self._told_to_end = False
        self._lobby = lobby
        self._kept: dict[int, Kept] = {}
        self._served_now: Kept | None = None
        self._next_look = _NEVER
        self._longest_target = longest_target(self._limits.head)
        self._arrivals, self._holds = Scoreboard(2).slots
        self._poll = select.epoll()
        signal.signal(TO_END, self._on_end)
        signal.signal(TO_SHARE, self._on_share)

    def serve_on(self, board: Scoreboard, place: int) -> None:
        """Serve, and count on a board of `SLOTS`.

        `place` is the worker's among those of its tenant; 0 is that of the pool's worker.
        """
        slot, self._arrivals, self._holds = board.slots
        slot.number = place
        try:
            self.serve(slot)
        except (OSError, ValueError):  # of a closed epoll set
            if not self._told_to_end:
                raise
        self._finish()

    def serve(self, slot: Slot) -> None:
        """Serve whoever has sent something, one after the other."""
        self._begin(slot)
        listener = self._listener.fileno()
        # Of the workers that wait for a connection, one wakes.
        self._poll.register(listener, select.EPOLLIN | select.EPOLLEXCLUSIVE)
        lobby = -1
        if self._lobby is not None:
            lobby = self._lobby.fileno()
            self._poll.register(lobby, select.EPOLLIN | select.EPOLLEXCLUSIVE)
        while self._left and not self._told_to_end:
            # One at a time: a script's time may be long enough for the others to be handed over.
            patience = -1.0 if self._next_look == _NEVER else self._patience()
            for descriptor, _ in self._poll.poll(patience, 1):
                if descriptor == listener:
                    kept = self._accepted()
                elif descriptor == lobby:
                    kept = self._taken_over()
                else:
                    kept = self._kept.get(descriptor)
                if kept is not None:
                    self._go_on(kept)

    def _patience(self) -> float:
        """End what is overdue; return for how many seconds nothing else will be."""
        now = time.monotonic()
        if now >= self._next_look:
            for kept in [one for one in self._kept.values() if now >= one.deadline]:
                self._end_overdue(kept)
            self._next_look = min((one.deadline for one in self._kept.values()), default=_NEVER)
        return max(self._next_look - now, 0.0) if self._kept else -1.0

    def _accepted(self) -> Kept | None:
        """Return a connection that has waited, if no other worker has accepted it."""
        try:
            descriptor, remote = self._listener._accept()  # type: ignore[attr-defined]
        except (BlockingIOError, ConnectionAbortedError):
            return None
        return self._received(descriptor, remote)

    def _taken_over(self) -> Kept | None:
        """Return a connection from the lobby, if no other worker has taken it."""
        assert self._lobby is not None
        handed = self._lobby.take()
        if handed is None:
            self._poll.unregister(self._lobby.fileno())  # a script has shut it down
        elif handed.descriptor >= 0:
            return self._received(handed.descriptor, handed.remote)
        return None

    def _received(self, descriptor: int, remote: tuple[str, int]) -> Kept:
        """Return a connection that is new to this worker."""
        self._arrivals.count()
        return Kept(connection_of(descriptor), remote)

    def _go_on(self, kept: Kept) -> None:
        """Take what has come on a connection, then keep or end it."""
        self._served_now = kept
        had_begun = kept.deadline > 0 and kept.mid_message
        stays = self._drain(kept) if kept.leaving else self._converse(kept)
        self._served_now = None
        if stays or (kept.leaving and not kept.drained):
            self._keep(kept, had_begun)
        else:
            self._let_go(kept)

    def _converse(self, kept: Kept) -> bool:
        """Answer what has come, if that is whole; return whether the connection stays."""
        connection, parser = kept.connection, kept.parser
        try:
            data = connection.recv(CHUNK, socket.MSG_DONTWAIT)
        except BlockingIOError:
            return True
        except OSError:
            return False
        requests: Iterable[Request]
        if parser is None and (
            plain := plain_request(data, self._limits.head, self._longest_target)
        ):
            requests = (plain,)
        else:
            parser = kept.parser = parser or RequestParser(self._limits.head, self._limits.body)
            requests = parser.feed(data)
        try:
            for request in requests:
                request.remote = kept.remote
                request.port = self._port
                goes_on = request.keep_alive
                if self._told_to_end:
                    request.keep_alive = False
                if not self._answer(connection, request):
                    if goes_on:  # as far as the client knows
                        self._see_off(connection, LINGER_SECONDS)
                    return False
            if parser is not None and parser.expects_continue:
                parser.expects_continue = False
                connection.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
        except BadRequest as error:
            head_only = parser is not None and parser.head_only
            self._refuse(connection, plain_response(error.status, str(error)), head_only)
            return False
        except OSError:  # the client is gone, or does not take its answer in time
            return False
        return bool(data)

    def _see_off(self, connection: socket.socket, seconds: float) -> None:
        """Have the connection end when its client has seen the answer: see `Worker`."""
        kept = self._served_now
        if kept is None or self._told_to_end:
            super()._see_off(connection, seconds)
            return
        try:
            connection.shutdown(socket.SHUT_WR)
        except OSError:
            return
        kept.leaving = True
        kept.deadline = time.monotonic() + min(seconds, self._limits.client)

    def _drain(self, kept: Kept) -> bool:
        """Throw away what a client sends that was seen off; return whether more may come."""
        try:
            received = len(kept.connection.recv(CHUNK, socket.MSG_DONTWAIT))
        except BlockingIOError:
            return True
        except OSError:
            received = 0
        kept.drained += received or MOST_DRAINED
        return kept.drained < MOST_DRAINED

    # Connections that are kept

    def _keep(self, kept: Kept, had_begun: bool) -> None:
        """Wait for what comes on a connection, until its time is up."""
        descriptor = kept.connection.fileno()
        if descriptor not in self._kept:
            if len(self._kept) >= _MOST_KEPT:
                self._let_go(next(iter(self._kept.values())))
            self._poll.register(descriptor, select.EPOLLIN)
            self._kept[descriptor] = kept
            self._holds.follow(len(self._kept), 0)
        # A request has one time limit from its first byte on, however its bytes trickle in.
        if not kept.leaving and not (had_begun and kept.mid_message):
            kept.deadline = time.monotonic() + self._limits.client
        self._next_look = min(self._next_look, kept.deadline)

    def _forget(self, kept: Kept) -> None:
        """Wait no longer for what comes on a connection.

        To close it is not enough: a child that a script has forked may hold a copy, and what comes
        would wake us for ever (epoll(7), question 6).
        """
        descriptor = kept.connection.fileno()
        if self._kept.pop(descriptor, None) is not None:
            self._holds.follow(len(self._kept), 0)
            try:
                self._poll.unregister(descriptor)
            except (OSError, ValueError):
                pass  # a script has closed it, or this worker ends

    def _let_go(self, kept: Kept) -> None:
        if kept.deadline:
            self._forget(kept)
        end(kept.connection)

    def _end_overdue(self, kept: Kept) -> None:
        """End a connection whose time is up, with a word to a client that has begun a request."""
        if kept.leaving or not kept.mid_message:
            self._let_go(kept)
            return
        self._served_now = kept
        response = plain_response(408, "the request did not arrive in time")
        head_only = kept.parser is not None and kept.parser.head_only
        self._refuse(kept.connection, response, head_only)
        self._served_now = None
        if kept.deadline > time.monotonic():  # it is being seen off
            self._keep(kept, had_begun=True)
        else:
            self._let_go(kept)

    def _finish(self) -> None:
        """Serve what has come on connections that are kept, and end them.

        A server may close an idle connection at any time (RFC 9112, section 9.5).
        """
        if not self._left:
            self._share()  # this process is of no use any more, another may be
        self._told_to_end = True
        for kept in list(self._kept.values()):
            if self._left and not kept.leaving:
                self._converse(kept)
            self._let_go(kept)

    def _on_share(self, _signal: int, _frame: FrameType | None) -> None:
        if self._in_request:
            self._share()

    def _share(self) -> None:
        """Put other connections than the one that is being served into the lobby.

        Not those of which something has been read already.
        """
        if self._lobby is None:
            return
        for kept in list(self._kept.values()):
            if kept is self._served_now or kept.leaving or kept.mid_message:
                continue
            if not self._lobby.put(kept.connection.fileno(), kept.remote):
                return
            self._forget(kept)
            kept.connection.close()

    # Requests

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
        """Let go of the listener, and wake from waiting: the epoll set is closed.

        What is kept is ended by `_finish`.
        """
        self._told_to_end = True
        self._listener.close()
        self._poll.close()
