"""The lean client: one HTTP/1.1 exchange at a time over a gevent event loop.

Strategy. A load generator in Python is easily the bottleneck of what it measures, so the path of a
request is kept short. Sockets are the operating system's own, set not to block; the greenlet sleeps
in the event loop only for the one thing that takes time, the reply. There is no timer a request:
one slow clock a client looks whether its exchange has become too old.
"""

import errno
import os
import socket
from collections.abc import Callable
from contextlib import suppress
from time import monotonic
from types import TracebackType
from typing import Any, Self

import gevent
from gevent import monkey

from workloads.catalog import Connection
from workloads.load.clients.reply import BrokenReply, ExchangeFailed, Reply, ReplyParser

RECEIVE_BYTES = 64 * 1024
MAX_REPLY_BYTES = 16 * 1024 * 1024
TIMEOUT_S = 30.0
PAUSE_AFTER_FAILURE_S = 0.01
"""A refused connection fails without ever waiting; the other users must get their turn."""

TICKS_PER_TIMEOUT = 10
"""How exact a timeout is: it comes at most a tenth of itself late."""

READ, WRITE = 1, 2  # the event loop's names for them (libev's EV_READ, EV_WRITE)

SocketType: type[socket.socket] = monkey.get_original("socket", "socket")
"""The standard library's own socket, also where gevent has put its own in its place."""

LOST = frozenset({errno.ECONNRESET, errno.EPIPE, errno.ENOTCONN})


class ConnectionFailed(ExchangeFailed):
    """No connection, or one that broke."""


class ConnectionLost(ConnectionFailed):
    """The server closed or reset the connection before it sent a byte of the reply."""


class TimedOut(ExchangeFailed):
    """The reply was not complete in time."""

    @classmethod
    def after(cls, seconds: float) -> "TimedOut":
        """Make one that says how long was waited."""
        return cls(f"no complete reply within {seconds:g} s")


def explain(error: OSError, address: tuple[str, int], *, received: bool) -> ConnectionFailed:
    """Say in plain words what happened to a connection; `received`: a byte of the reply was."""
    where = "{}:{}".format(*address)
    if error.errno in LOST and not received:
        return ConnectionLost(f"{where} closed the connection without a reply")
    if error.errno == errno.ECONNRESET:
        return ConnectionFailed(f"{where} reset the connection in the middle of the reply")
    if error.errno == errno.ECONNREFUSED:
        return ConnectionFailed(f"nothing listens at {where}")
    if error.errno == errno.EADDRNOTAVAIL:
        return ConnectionFailed(f"no free local port for a connection to {where}")
    return ConnectionFailed(f"the connection to {where} failed: {error.strerror}")


class Client:
    """One user's connection to the server; to be used by one greenlet at a time.

    With `connection="keep-alive"` the connection is used again while the server permits. A server
    may close an idle connection at any moment (RFC 9112, section 9.5), so a request that finds its
    *used* connection closed is sent once more on a new one, and counted in `retries`.

    `new_socket` makes each connection's socket, ready to be connected.
    """

    def __init__(
        self,
        host: str,
        port: int,
        *,
        connection: Connection = "keep-alive",
        timeout_s: float = TIMEOUT_S,
        max_reply_bytes: int = MAX_REPLY_BYTES,
        new_socket: Callable[[int, int], socket.socket] = SocketType,
    ) -> None:
        self._address = (host, port)
        self._new_socket = new_socket
        self._keep_alive = connection == "keep-alive"
        self._timeout_s = timeout_s
        self._parser = ReplyParser(max_reply_bytes)
        self._socket: socket.socket | None = None
        self._readable: Any = None
        self._began = 0.0
        self._waiting: Any = None
        self._hub = gevent.get_hub()
        self.connections = 0
        self.retries = 0
        tick_s = timeout_s / TICKS_PER_TIMEOUT
        self._clock = self._hub.loop.timer(tick_s, tick_s, ref=False)
        self._clock.start(self._tick)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connection and stop the clock; the client is of no use afterwards."""
        self._disconnect()
        self._clock.close()

    def exchange(self, request: bytes) -> Reply:
        """Send one request and return its reply. Raises `ExchangeFailed`."""
        if self._socket is None:
            return self._exchange(request)
        try:
            return self._exchange(request)
        except ConnectionLost:
            self.retries += 1
            return self._exchange(request)

    def _exchange(self, request: bytes) -> Reply:
        self._began = monotonic()
        try:
            connection = self._socket or self._connect()
            self._parser.begin()
            self._send(connection, request)
            reply = self._receive(connection)
        except BaseException:
            # Also when the greenlet is killed: half an exchange leaves a useless connection.
            self._disconnect()
            raise
        if not (self._keep_alive and reply.keep_alive):
            self._disconnect()
        return reply

    def _connect(self) -> socket.socket:
        self._parser.connected()
        try:
            connection = self._socket = self._new_socket(socket.AF_INET, socket.SOCK_STREAM)
        except OSError as error:  # no descriptor left
            raise self._explain(error) from None
        connection.setblocking(False)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        # Over the loopback the handshake is over when connect_ex returns EINPROGRESS (the kernel
        # works through it as the socket is unlocked), so `_send` tries at once and rarely waits.
        code = connection.connect_ex(self._address)
        if code not in (0, errno.EINPROGRESS):
            raise self._explain(OSError(code, os.strerror(code)))
        self._readable = self._hub.loop.io(connection.fileno(), READ)
        self.connections += 1
        return connection

    def _disconnect(self) -> None:
        if self._socket is None:
            return
        # The watcher goes first: a watcher of a closed descriptor would watch the next to get
        # its number.
        if self._readable is not None:
            self._readable.close()
            self._readable = None
        self._socket.close()
        self._socket = None

    def _send(self, connection: socket.socket, request: bytes) -> None:
        try:
            sent = connection.send(request)
        except BlockingIOError:
            sent = 0
        except OSError as error:
            raise self._explain(error) from None
        if sent < len(request):
            self._send_rest(connection, memoryview(request)[sent:])

    def _send_rest(self, connection: socket.socket, rest: memoryview) -> None:
        writable = self._hub.loop.io(connection.fileno(), WRITE)
        try:
            while rest:
                self._wait(writable)
                with suppress(BlockingIOError):
                    rest = rest[connection.send(rest) :]
        except OSError as error:
            raise self._explain(error) from None
        finally:
            writable.close()

    def _receive(self, connection: socket.socket) -> Reply:
        while True:
            # Wait first, look then: the reply is hardly ever there yet, and a user that found one
            # each time would never let the others run.
            self._wait(self._readable)
            try:
                data = connection.recv(RECEIVE_BYTES)
            except BlockingIOError:
                continue
            except OSError as error:
                raise self._explain(error) from None
            reply = self._parser.feed(data) if data else self._at_end()
            if reply is not None:
                return reply

    def _at_end(self) -> Reply:
        try:
            return self._parser.end()
        except BrokenReply as error:
            raise (error if self._parser.received else ConnectionLost(str(error))) from None

    def _wait(self, watcher: Any) -> None:
        self._waiting = gevent.getcurrent()
        watcher.start(self._waiting.switch)
        try:
            self._hub.switch()
        finally:
            watcher.stop()
            self._waiting = None

    def _tick(self) -> None:
        if self._waiting is not None and monotonic() - self._began > self._timeout_s:
            self._waiting.throw(TimedOut.after(self._timeout_s))

    def _explain(self, error: OSError) -> ConnectionFailed:
        return explain(error, self._address, received=self._parser.received > 0)
