"""The front: many connections at once, no script, no privilege.

It reads a request's head and framing, finds the site that it is for, and passes it on as one
message to a worker of the site's tenant; the answer is one message as well. Status line, length and
the fate of the connection are the front's to write. So there is exactly one answer to a request,
whatever a script does, and no script has a client's connection.

Here is its side of tenants' workers; `client_side` has that of clients.
"""

from __future__ import annotations

import errno
import gc
import os
import sys
import time

from servers.front.starters.front_starter import Gone, tell
from servers.http import plain_response
from servers.interpreter.embedded import ScriptFailed, parse_output
from servers.modes.router import messages
from servers.modes.router.client_side import ASKED, AT_ONCE, CHUNK, ClientSide, Connection
from servers.modes.router.dispatch import Dispatch, Job, Worker
from servers.modes.router.starter import END, ENDING, START, STARTED, STARTING
from servers.sites import NotFound, Site

TYPE_CHECKING = False  # what mypy believes to be true, as that of `typing`
if TYPE_CHECKING:
    import socket
    from typing import Final, NoReturn

    from servers.front.shared_memory.scoreboard import Slot
    from servers.front.shared_memory.tally import Tally
    from servers.front.workers.worker import Worker as PoolWorker
    from servers.mode import Limits
    from servers.modes.router import Mode
else:
    import _socket as socket

_SWEEP_SECONDS: Final = 0.25
_MOST_ATTEMPTS: Final = 3
_MOST_AHEAD: Final = 4096  # bytes of a request that goes to a busy worker
_ENDED_EARLY: Final = "its process ended before it answered"
_ROOM_FOR_SCM_RIGHTS: Final = socket.CMSG_LEN(4)  # of one; CMSG_SPACE has room for two


class Channel(Worker):
    """A tenant's worker, at the other end of its channel; `serial` numbers what it was asked.

    `next_serial` numbers what it was given ahead.
    """

    __slots__ = ("next_serial", "serial", "socket")

    serial: int
    next_serial: int
    socket: socket.socket


class Front(ClientSide):
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
        self._dispatch = Dispatch(
            self._start,
            self._end,
            self._hand_over,
            self._hand_ahead,
            bound,
            per_tenant,
            len(os.sched_getaffinity(0)),
        )
        self._again: list[Job] = []  # requests that lost the worker that would have come to them
        self._longest_answer = limits.output + CHUNK
        self._prepare_for_clients(others=bound)
        self._watch(self._line.fileno(), self._on_line)

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
        if self._again:
            self._ask_again()

    def _ask_again(self) -> None:
        again, self._again = self._again, []
        for job in again:
            assert isinstance(job, Connection)
            if job.state == ASKED:
                self._dispatch.ask(job, job.site, self._now)

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
        connection.state = ASKED
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
            message, beside, _, _ = self._line.recvmsg(STARTED.size, _ROOM_FOR_SCM_RIGHTS, AT_ONCE)
        except BlockingIOError:
            return
        except ConnectionError:
            message = b""
        if not message:
            raise Gone
        number, error = STARTED.unpack(message)
        if error:
            for job in self._dispatch.refused(number, error == errno.EBUSY):
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
            messages.ask(worker.socket, asked, AT_ONCE)
        except OSError:  # it has ended, on its own account
            worker.job = None
            self._lose(worker)
            self._try_again(job)

    def _hand_ahead(self, job: Job, worker: Worker) -> bool:
        assert isinstance(job, Connection)
        assert isinstance(worker, Channel)
        if len(job.content) > _MOST_AHEAD:
            return False
        self._serial = worker.next_serial = (self._serial + 1) & 0xFFFFFFFF
        asked = messages.Asked(worker.next_serial, job.remote, self._port, job.content)
        try:
            messages.ask(worker.socket, asked, AT_ONCE)
        except OSError:  # what is wrong with it will be seen
            return False
        return True

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
        left = self._dispatch.lost(worker)
        if left is not None:  # nobody has begun with it
            self._again.append(left)

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
        except OSError:  # ECONNRESET: it ended with something left to read, the last request
            if worker.next is not None:
                self._lose_with_request(worker, connection, _ENDED_EARLY)
                return
            self._lose(worker)
            if connection is not None:
                self._try_again(connection)
            return
        if answered is None:
            self._lose_with_all(worker, connection)
        elif connection is None or answered.number != worker.serial:
            self._lose_with_request(worker, connection, "its process answers without being asked")
        else:
            connection.worker = None
            self._pass_on(connection, answered)
            if answered.last:
                self._lose(worker)
            else:
                if worker.next is not None:
                    worker.serial = worker.next_serial
                self._dispatch.finished(worker, self._now)
            self._work(connection)

    def _lose_with_all(self, worker: Channel, connection: Connection | None) -> None:
        """It has ended, and somebody has read all that it was given."""
        left, worker.next = worker.next, None
        self._lose_with_request(worker, connection, _ENDED_EARLY)
        if left is not None:
            assert isinstance(left, Connection)
            left.worker = None
            self._fail(left, 502, _ENDED_EARLY)

    def _lose_with_request(
        self, worker: Channel, connection: Connection | None, reason: str
    ) -> None:
        self._lose(worker)
        if connection is not None:
            connection.worker = None
            self._fail(connection, 502, reason)

    def _pass_on(self, connection: Connection, answered: messages.Answered) -> None:
        try:
            response = parse_output(answered.content)
        except ScriptFailed as error:
            self._log(connection, str(error))
            response = plain_response(500, f"the script failed: {error}")
        self._reply(connection, response, answered.keep_alive)

    def _fail(self, connection: Connection, status: int, reason: str) -> None:
        """Answer in a worker's place, and go on."""
        self._log(connection, reason)
        text = "the script failed" if status == 502 else "the server cannot start another process"
        self._reply(connection, plain_response(status, f"{text}: {reason}"), True)
        self._work(connection)

    # Time

    def _sweep(self, now: float) -> None:
        """End what has taken too long."""
        super()._sweep(now)
        self._dispatch.end_idle(now - self._idle_seconds)

    def _give_up(self, connection: Connection) -> None:
        """Answer a request that has had its time, in the hands of a worker or waiting for one."""
        worker = connection.worker
        if worker is None:
            self._dispatch.withdraw(connection, connection.site)
            self._fail(connection, 503, "all of its processes are busy")
            return
        assert isinstance(worker, Channel)
        if worker.job is not connection:
            return  # its turn is not long after that of the job
        connection.worker = None
        self._log(connection, "the script exceeded its time limit")
        self._lose(worker)
        self._reply(connection, plain_response(504, "the script took too long"), True)
        self._work(connection)
