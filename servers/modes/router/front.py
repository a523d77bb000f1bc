"""The front: many connections at once, no script, no privilege.

It reads a request's head and framing, finds the site that it is for, and passes it on as one
message to a worker of the site's tenant; the answer is one message as well. Status line, length and
the fate of the connection are the front's to write. So there is exactly one answer to a request,
whatever a script does, and no script has a client's connection.

Strategy: epoll, edge-triggered for clients, so that a connection is registered once, and not at all
where its only request is there when it is accepted. Times are looked at a few times a second.
"""

from __future__ import annotations

import gc
import os
import select
import sys
import time

from servers.front.front_starter import Gone, tell
from servers.front.worker import Worker as PoolWorker
from servers.http import (
    BadRequest,
    Request,
    RequestParser,
    Response,
    options_response,
    plain_response,
    render,
)
from servers.interpreter.embedded import ScriptFailed, parse_output
from servers.modes.router import messages
from servers.modes.router.dispatch import Dispatch, Job, Worker
from servers.modes.router.framing import canonical, frame
from servers.modes.router.starter import END, ENDING, START, STARTED, STARTING
from servers.sites import NotFound, Site

TYPE_CHECKING = False  # what mypy believes to be true, as that of `typing`
if TYPE_CHECKING:
    import socket
    from collections.abc import Callable
    from typing import Final, NoReturn

    from servers.front.scoreboard import Slot
    from servers.front.tally import Tally
    from servers.mode import Limits
    from servers.modes.router import Mode
else:
    import _socket as socket

_CHUNK: Final = 64 * 1024
_MOST_DRAINED: Final = 16 * 1024 * 1024
_LINGER_SECONDS: Final = 2.0  # Apache's SECONDS_TO_LINGER (connection.c)
_SWEEP_SECONDS: Final = 0.25
_MOST_ATTEMPTS: Final = 3
_SPARE_DESCRIPTORS: Final = 64
_ROOM_FOR_SCM_RIGHTS: Final = socket.CMSG_LEN(4)  # of one; CMSG_SPACE has room for two
_AT_ONCE: Final = socket.MSG_DONTWAIT
_ENDED: Final = select.EPOLLRDHUP | select.EPOLLHUP | select.EPOLLERR
_CLIENT: Final = select.EPOLLIN | select.EPOLLRDHUP | select.EPOLLET

# What a connection waits for: its client, a tenant's worker, to write, or for its client's end.
_READING, _ASKED, _WRITING, _LINGERING, _CLOSED = range(5)


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


class Channel(Worker):
    """A tenant's worker, at the other end of its channel; `serial` numbers what it was asked."""

    __slots__ = ("serial", "socket")

    serial: int
    socket: socket.socket


class Front(PoolWorker):
    """Serves all connections, in the place of a pool's worker."""

    _mode: Mode

    @classmethod
    def observed(cls, tally: Tally, places: dict[str, int]) -> type[PoolWorker]:
        """Return this class with each request counted in `tally`."""
        from servers.modes.router.observing import observing

        return observing(tally, places)

    def rehearse(self) -> None:
        """Do nothing: this process is forked once."""

    def restore_listener(self) -> None:
        """Do nothing: no script has come near it."""

    def serve(self, slot: Slot) -> NoReturn:
        """Take the mode's resting identity, and serve for good."""
        self._mode.child_init()
        self._die_with_the_master()
        self._slot = slot
        self._prepare()
        gc.freeze()
        self._mode.confine_calls()
        slot.start()
        while True:
            self._turn()

    def _prepare(self) -> None:
        limits: Limits = self._limits
        self._now = time.monotonic()
        self._next_sweep = 0.0
        self._serial = 0
        self._line = self._mode.line
        self._idle_seconds = float(self._mode.option("idle"))
        bound, per_tenant = self._mode.bound, int(self._mode.option("per_tenant"))
        self._dispatch = Dispatch(self._start, self._end, self._hand_over, bound, per_tenant)
        self._connections: dict[int, Connection] = {}
        self._most_connections = _most_descriptors() - bound - _SPARE_DESCRIPTORS
        self._longest_answer = limits.output + _CHUNK
        self._poll = select.epoll()
        self._handlers: dict[int, Callable[[int], None]] = {}
        self._listener.setblocking(False)
        self._listens = False
        self._listen()
        self._watch(self._line.fileno(), self._on_line)

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

    def _turn(self) -> None:
        """Wait for events, and handle them; look at the time every now and then."""
        if self._dispatch.is_crowded:
            patience = 0.01
        elif self._connections or self._dispatch.has_workers:
            patience = _SWEEP_SECONDS
        else:
            patience = -1.0
        events = self._poll.poll(patience)
        self._now = now = time.monotonic()
        handlers = self._handlers
        for descriptor, event in events:
            # One that was closed meanwhile may have a successor, who bears a false alarm.
            handler = handlers.get(descriptor)
            if handler is not None:
                handler(event)
        if self._dispatch.is_crowded:
            self._dispatch.attend(now)
        if now >= self._next_sweep:
            self._next_sweep = now + _SWEEP_SECONDS
            self._sweep(now)

    # Clients

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
            data = connection.socket.recv(_CHUNK, _AT_ONCE)
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
        connection.readable = connection.ended or len(data) == _CHUNK
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
                connection.socket.send(b"HTTP/1.1 100 Continue\r\n\r\n", _AT_ONCE)
            except OSError:
                self._close(connection)

    def _route(self, connection: Connection, host: bytes, content: bytes) -> None:
        try:
            site = self._sites.find(host)
        except NotFound:
            text = "not found: there is no such tenant or script"
            self._reply(connection, plain_response(404, text), True)
            return
        if site.owner.uid == 0:
            self._log(connection, "the site is root's, and content never runs as root")
            self._reply(connection, plain_response(403, "the script may not be run"), True)
            return
        connection.state = _ASKED
        connection.site = site
        connection.content = content
        connection.attempts = 0
        self._dispatch.ask(connection, site, self._now)

    # Tenants' workers

    def _start(self, site: Site, number: int) -> None:
        message = START.pack(STARTING, number, site.owner.uid) + site.name.encode("latin-1")
        tell(self._line, message)

    def _end(self, worker: Worker) -> None:
        assert isinstance(worker, Channel)
        tell(self._line, END.pack(ENDING, worker.number))
        # Closing would not do: the starter has the same open file (epoll(7)).
        self._poll.unregister(worker.socket)
        del self._handlers[worker.socket.fileno()]
        worker.socket.close()

    def _on_line(self, _event: int) -> None:
        """Take a worker that was asked for."""
        try:
            message, beside, _, _ = self._line.recvmsg(STARTED.size, _ROOM_FOR_SCM_RIGHTS, _AT_ONCE)
        except BlockingIOError:
            return
        except ConnectionError:
            message = b""
        if not message:
            raise Gone
        number, error = STARTED.unpack(message)
        if error:
            for job in self._dispatch.refused(number):
                assert isinstance(job, Connection)
                self._fail(job, 503, f"no process for it: {os.strerror(error)}")
            return
        tenant = self._dispatch.tenant_of(number)
        assert tenant is not None
        channel = Channel(number, tenant)
        descriptor = int.from_bytes(beside[0][2][:4], sys.byteorder)
        channel.socket = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET, 0, descriptor)
        handle = self._on_answer
        self._watch(descriptor, lambda event: handle(channel))
        self._dispatch.started(number, channel, self._now)

    def _hand_over(self, job: Job, worker: Worker) -> None:
        assert isinstance(job, Connection)
        assert isinstance(worker, Channel)
        self._serial = worker.serial = (self._serial + 1) & 0xFFFFFFFF
        asked = messages.Asked(worker.serial, job.remote, self._port, job.content)
        try:
            messages.ask(worker.socket, asked, _AT_ONCE)
        except OSError:  # it has ended, on its own account
            self._lose(worker)
            self._try_again(job)

    def _try_again(self, connection: Connection) -> None:
        """Have another worker serve a request that none has read."""
        connection.attempts += 1
        connection.worker = None
        if connection.attempts < _MOST_ATTEMPTS:
            self._dispatch.ask(connection, connection.site, self._now)
        else:
            self._fail(connection, 503, "its processes end before they are asked")

    def _lose(self, worker: Channel) -> None:
        """Have nothing more to do with a worker, and have it ended."""
        self._end(worker)
        self._dispatch.lost(worker)

    def _on_answer(self, worker: Channel) -> None:
        connection = worker.job
        assert connection is None or isinstance(connection, Connection)
        try:
            answered = messages.take_answer(worker.socket, self._longest_answer)
        except BlockingIOError:
            return
        except messages.Malformed:
            self._lose_with_request(worker, connection, "its process sent a malformed answer")
            return
        except OSError:  # ECONNRESET: it ended with something left to read, which is the request
            self._lose(worker)
            if connection is not None:
                self._try_again(connection)
            return
        if answered is None:
            self._lose_with_request(worker, connection, "its process ended before it answered")
        elif connection is None or answered.number != worker.serial:
            self._lose_with_request(worker, connection, "its process answers without being asked")
        else:
            connection.worker = None
            self._pass_on(connection, answered)
            if answered.last:
                self._lose(worker)
            else:
                self._dispatch.finished(worker, self._now)
            self._work(connection)

    def _lose_with_request(
        self, worker: Channel, connection: Connection | None, reason: str
    ) -> None:
        self._lose(worker)
        if connection is not None:
            connection.worker = None
            self._fail(connection, 502, reason)

    def _fail(self, connection: Connection, status: int, reason: str) -> None:
        """Answer in a worker's place, and go on."""
        self._log(connection, reason)
        text = "the script failed" if status == 502 else "the server cannot start another process"
        self._reply(connection, plain_response(status, f"{text}: {reason}"), True)
        self._work(connection)

    # Answers

    def _pass_on(self, connection: Connection, answered: messages.Answered) -> None:
        try:
            response = parse_output(answered.content)
        except ScriptFailed as error:
            self._log(connection, str(error))
            response = plain_response(500, f"the script failed: {error}")
        self._reply(connection, response, answered.keep_alive)

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
                sent = connection.socket.send(out, _AT_ONCE)
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
            while data := connection.socket.recv(_CHUNK, _AT_ONCE):
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
            if state == _ASKED:
                if waited >= script:
                    self._give_up(connection)
            elif state == _LINGERING:
                if waited >= min(connection.limit, client):
                    self._close(connection)
            elif waited >= client:
                self._on_silence(connection)
        self._dispatch.end_idle(now - self._idle_seconds)
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

    def _give_up(self, connection: Connection) -> None:
        """Answer a request that has had its time, in the hands of a worker or waiting for one."""
        worker = connection.worker
        if worker is None:
            self._dispatch.withdraw(connection, connection.site)
            self._fail(connection, 503, "all of its processes are busy")
            return
        assert isinstance(worker, Channel)
        connection.worker = None
        self._log(connection, "the script exceeded its time limit")
        self._lose(worker)
        self._reply(connection, plain_response(504, "the script took too long"), True)
        self._work(connection)

    def _log(self, connection: Connection, text: str) -> None:
        line = connection.content.partition(b"\r\n")[0][:200] if connection.state == _ASKED else b""
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
