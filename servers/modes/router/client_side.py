"""The front's side of clients: connections are accepted, requests read, answers written.

What a request is for, and who answers it, is the business of `front`, which goes on from here.

Strategy: epoll, edge-triggered for clients, so that a connection is registered once, and not at all
where its only request is there when it is accepted. Times are looked at a few times a second.
"""

from __future__ import annotations

import os
import select
import sys

from servers.front.workers.worker import Worker as PoolWorker
from servers.http import (
    BadRequest,
    Request,
    RequestParser,
    Response,
    options_response,
    plain_response,
    render,
)
from servers.modes.router.dispatch import Job, Worker
from servers.modes.router.framing import canonical, frame
from servers.sites import Site

TYPE_CHECKING = False  # what mypy believes to be true, as that of `typing`
if TYPE_CHECKING:
    import socket
    from collections.abc import Callable
    from typing import Final
else:
    import _socket as socket

CHUNK: Final = 64 * 1024
AT_ONCE: Final = socket.MSG_DONTWAIT
_MOST_DRAINED: Final = 16 * 1024 * 1024
_LINGER_SECONDS: Final = 2.0  # Apache's SECONDS_TO_LINGER (connection.c)
_SPARE_DESCRIPTORS: Final = 64
_ENDED: Final = select.EPOLLRDHUP | select.EPOLLHUP | select.EPOLLERR
_CLIENT: Final = select.EPOLLIN | select.EPOLLRDHUP | select.EPOLLET

# What a connection waits for: its client, a tenant's worker, to write, or for its client's end.
_READING, ASKED, _WRITING, _LINGERING, _CLOSED = range(5)


class Connection(Job):
    """A client's connection, and the request on it that is being served."""

    __slots__ = (
        "attempts",
        "content",
        "descriptor",
        "drained",
        "ended",
        "head_only",
        "keep",
        "limit",
        "mid",
        "out",
        "parser",
        "readable",
        "registered",
        "remote",
        "requests",
        "rest",
        "site",
        "socket",
        "state",
        "stays",
    )

    attempts: int
    content: bytes
    drained: int
    keep: bool
    """Whether the client wants the connection to stay."""
    limit: float
    """For how long to listen to what the client still sends, in seconds."""
    out: bytes | memoryview
    site: Site
    stays: bool
    """Whether the connection may serve another request."""

    def __init__(self, descriptor: int, remote: tuple[str, int], now: float) -> None:
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_STREAM, 0, descriptor)
        self.descriptor = descriptor
        self.remote = remote
        self.state = _READING
        self.since = now
        self.worker: Worker | None = None
        self.readable = True  # as far as we know
        self.ended = self.registered = self.mid = self.head_only = False
        self.rest = b""
        self.parser: RequestParser | None = None
        self.requests: object = None


class ClientSide(PoolWorker):
    """Serves all connections, in the place of a pool's worker; a subclass has requests answered."""

    _now: float
    """When what happens now began, on the monotonic clock."""

    def _prepare_for_clients(self, others: int) -> None:
        """Listen; `others` is how many descriptors are for others than clients, at most."""
        self._connections: dict[int, Connection] = {}
        self._most_connections = _most_descriptors() - others - _SPARE_DESCRIPTORS
        self._poll = select.epoll()
        self._handlers: dict[int, Callable[[int], None]] = {}
        self._listener.setblocking(False)
        self._listens = False
        self._listen()

    def _route(self, connection: Connection, host: bytes, content: bytes) -> None:
        """Have a request answered, in the end by `_reply`; `content` is all of it."""
        raise NotImplementedError

    def _give_up(self, connection: Connection) -> None:
        """Answer a request that has had its time."""
        raise NotImplementedError

    def _watch(self, descriptor: int, handler: Callable[[int], None]) -> None:
        self._handlers[descriptor] = handler
        self._poll.register(descriptor, select.EPOLLIN)

    def _listen(self) -> None:
        if not self._listens and len(self._connections) < self._most_connections:
            self._watch(self._listener.fileno(), self._on_client)
            self._listens = True

    def _listen_no_more(self) -> None:
        """Let clients wait in the listener's queue until others have gone."""
        self._poll.unregister(self._listener.fileno())
        self._listens = False

    # Requests

    def _on_client(self, _event: int) -> None:
        try:
            descriptor, remote = self._listener._accept()  # type: ignore[attr-defined]
        except (BlockingIOError, ConnectionAbortedError):
            return
        except OSError:  # EMFILE and the like
            self._listen_no_more()
            return
        connection = Connection(descriptor, remote, self._now)
        self._connections[descriptor] = connection
        if len(self._connections) >= self._most_connections:
            self._listen_no_more()
        self._work(connection)

    def _on_connection(self, connection: Connection, event: int) -> None:
        connection.readable = True
        if event & _ENDED:
            connection.ended = True
        if connection.state == _WRITING:
            self._write(connection)
        elif connection.state == _LINGERING:
            self._drain(connection)
        self._work(connection)

    def _work(self, connection: Connection) -> None:
        """Go on with a connection until it has to wait."""
        while connection.state == _READING:
            if connection.requests is not None:
                self._take_parsed(connection)
            elif connection.rest:
                self._take(connection)
            elif connection.readable:
                self._receive(connection)
            else:
                if not connection.registered:
                    self._register(connection)
                return

    def _register(self, connection: Connection, also: int = 0) -> None:
        descriptor = connection.descriptor
        if connection.registered:
            self._poll.modify(descriptor, _CLIENT | also)
        else:
            handle = self._on_connection
            self._handlers[descriptor] = lambda event: handle(connection, event)
            self._poll.register(descriptor, _CLIENT | also)
            connection.registered = True

    def _receive(self, connection: Connection) -> None:
        try:
            data = connection.socket.recv(CHUNK, AT_ONCE)
        except BlockingIOError:
            connection.readable = connection.ended
            if connection.ended:
                self._close(connection)
            return
        except OSError:
            self._close(connection)
            return
        if not data:
            self._close(connection)
            return
        # A short read has emptied it, and what comes later raises another event (epoll(7)).
        connection.readable = connection.ended or len(data) == CHUNK
        connection.rest = data

    def _take(self, connection: Connection) -> None:
        """Read the request that has come, if it is a plain one; or else have it parsed."""
        data, connection.rest = connection.rest, b""
        if connection.parser is None:
            framed = frame(data, self._limits.head)
            if framed is not None:
                end, host, connection.keep, connection.head_only = framed
                content = data
                if end < len(data):
                    content, connection.rest = data[:end], data[end:]
                self._route(connection, host, content)
                return
            connection.parser = RequestParser(self._limits.head, self._limits.body)
        connection.requests = connection.parser.feed(data)

    def _take_parsed(self, connection: Connection) -> None:
        parser = connection.parser
        assert parser is not None
        try:
            request: Request | None = next(connection.requests, None)  # type: ignore[call-overload]
        except BadRequest as error:
            connection.requests = None
            connection.head_only = parser.head_only
            self._refuse_request(connection, plain_response(error.status, str(error)))
            return
        if request is None:
            connection.requests = None
            self._await_more(connection, parser)
            return
        connection.mid = False
        connection.keep = request.keep_alive
        connection.head_only = request.method == b"HEAD"
        if request.target == b"*":
            self._reply(connection, options_response(), True)
        else:
            self._route(connection, request.host, canonical(request))

    def _await_more(self, connection: Connection, parser: RequestParser) -> None:
        if not parser.mid_message:
            connection.mid = False
            connection.parser = None
            return
        if not connection.mid:
            connection.mid = True
            connection.since = self._now
        if parser.expects_continue:
            parser.expects_continue = False
            try:
                connection.socket.send(b"HTTP/1.1 100 Continue\r\n\r\n", AT_ONCE)
            except OSError:
                self._close(connection)

    # Answers

    def _reply(self, connection: Connection, response: Response, keep: bool) -> None:
        keeps = connection.keep
        keep = keep and keeps and response.status < 500
        connection.content = b""
        connection.stays = keep
        # It may still be sending, as far as it knows.
        connection.limit = _LINGER_SECONDS if keeps and not keep else 0.0
        self._slot.count()
        connection.out = render(response, keep, connection.head_only)
        connection.since = self._now
        self._write(connection)

    def _refuse_request(self, connection: Connection, response: Response) -> None:
        """Answer a request that was not read to its end."""
        connection.stays = False
        connection.limit = self._limits.client
        connection.out = render(response, keep_alive=False, head_only=connection.head_only)
        connection.since = self._now
        self._write(connection)

    def _write(self, connection: Connection) -> None:
        """Send what is left of an answer, and go on when all is sent."""
        try:
            if not self._has_sent_all(connection):
                return
        except OSError:
            self._close(connection)
            return
        connection.out = b""
        if connection.stays:
            connection.state = _READING
        elif connection.limit:
            self._begin_to_close(connection)
        else:
            self._close(connection)

    def _has_sent_all(self, connection: Connection) -> bool:
        """Send as much of an answer as the client takes. Raises OSError when the client is gone."""
        while True:
            out = connection.out
            try:
                sent = connection.socket.send(out, AT_ONCE)
            except BlockingIOError:
                sent = 0
            if sent == len(out):
                return True
            if sent:
                connection.since = self._now
            connection.out = memoryview(out)[sent:]
            if connection.state != _WRITING:
                connection.state = _WRITING
                self._register(connection, select.EPOLLOUT)
                return False
            if not sent:  # until the kernel has no more room, or raises no event
                return False

    def _begin_to_close(self, connection: Connection) -> None:
        """End a connection on which the client may still be sending.

        Closing with unread data resets the connection and may destroy the answer on its way
        (RFC 9112, section 9.6), so what still comes is read and thrown away first.
        """
        try:
            connection.socket.shutdown(socket.SHUT_WR)
        except OSError:
            self._close(connection)
            return
        connection.state = _LINGERING
        connection.drained = 0
        connection.rest = b""
        connection.requests = None
        self._drain(connection)
        if connection.state == _LINGERING and not connection.registered:
            self._register(connection)

    def _drain(self, connection: Connection) -> None:
        try:
            while data := connection.socket.recv(CHUNK, AT_ONCE):
                connection.drained += len(data)
                if connection.drained > _MOST_DRAINED:
                    break
        except BlockingIOError:
            return
        except OSError:
            pass
        self._close(connection)

    def _close(self, connection: Connection) -> None:
        connection.state = _CLOSED
        connection.requests = None
        connection.socket.close()  # which takes it out of the epoll set as well (epoll(7))
        del self._connections[connection.descriptor]
        if connection.registered:
            del self._handlers[connection.descriptor]
        if not self._listens:
            self._listen()

    # Time

    def _sweep(self, now: float) -> None:
        """End what has taken too long."""
        client, script = self._limits.client, self._limits.script
        for connection in tuple(self._connections.values()):
            waited = now - connection.since
            state = connection.state
            if state == ASKED:
                if waited >= script:
                    self._give_up(connection)
            elif state == _LINGERING:
                if waited >= min(connection.limit, client):
                    self._close(connection)
            elif waited >= client:
                self._on_silence(connection)
        if not self._listens:
            self._listen()

    def _on_silence(self, connection: Connection) -> None:
        """A client has not sent a request, or not taken an answer, in time."""
        if connection.state == _READING and connection.mid and connection.parser is not None:
            connection.head_only = connection.parser.head_only
            self._refuse_request(
                connection, plain_response(408, "the request did not arrive in time")
            )
        else:
            self._close(connection)

    def _log(self, connection: Connection, text: str) -> None:
        line = connection.content.partition(b"\r\n")[0][:200] if connection.state == ASKED else b""
        try:
            print(f"[{os.getpid()}] {line.decode('latin-1')}: {text}", file=sys.stderr, flush=True)
        except OSError:
            pass  # scripts share the open file, and can make it one that does not take this


def _most_descriptors() -> int:
    """Return how many this process may have, after it has asked for as many as it gets."""
    import resource  # here, since only this process needs it

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = 16384 if hard == resource.RLIM_INFINITY else min(hard, 16384)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
    return wanted
