"""One worker: accept, parse, mode.handle, send, mode.cleanup. One connection at a time.

That is what Apache's prefork MPM does: a keep-alive connection holds its worker until it closes.
"""

from __future__ import annotations

import errno
import os
import sys
import time

from servers.front.shared_memory.scoreboard import Scoreboard, Slot
from servers.front.workers.replies import Unfit, log, reply, respond
from servers.http import (
    BadRequest,
    Request,
    RequestParser,
    Response,
    options_response,
    plain_response,
    render,
)
from servers.interpreter import frozen_heap, pinned_pages
from servers.interpreter.child import REHEARSALS, WARMUP_SCRIPT
from servers.interpreter.embedded import ScriptTimeout, on_compiling
from servers.kernel import detach, syscalls
from servers.mode import Answered, IsolationMode, RunsAs
from servers.sites import Site, Sites

TYPE_CHECKING = False  # what mypy believes to be true, as that of `typing`
if TYPE_CHECKING:
    import signal
    import socket
    from types import FrameType
    from typing import Final

    from servers.front.shared_memory.tally import Tally
else:  # what the two are made of, without `enum` and `selectors`
    import _signal as signal
    import _socket as socket

BACKLOG: Final = 1024
"""How many connections wait for a worker, besides those that workers serve."""

CHUNK: Final = 64 * 1024
MOST_DRAINED: Final = 16 * 1024 * 1024
LINGER_SECONDS: Final = 2.0  # Apache's SECONDS_TO_LINGER (connection.c)
_STANDARD_ERROR: Final = 2
_NOBODY: Final = ("127.0.0.1", 0)
_REHEARSAL: Final = b"GET /warmup_script.py?word HTTP/1.1\r\nHost: rehearsal\r\n\r\n"
_LONG_BYTES: Final = (sys.maxsize.bit_length() + 1) // 8


class CleanupFailed(RuntimeError):
    """The worker could not undo what a request did, so it may not serve another."""


class Worker:
    """Serves connections from a listening socket until it is told to stop or has had enough.

    Made in the master, once, for each forked worker to find all prepared: what is done here need
    not be done for each request by modes that use up a worker for it.
    """

    executes = False
    """Whether it becomes another program, for which the scoreboard has to be a file."""
    board_file = -1
    """The scoreboard's descriptor, where it is a file. The pool sets it."""
    answers_in_children = False
    """Whether it is children of the worker that answer requests."""

    @classmethod
    def observed(cls, tally: Tally, places: dict[str, int]) -> type[Worker]:
        """Return this class with each request counted in `tally`. Only for an observed server."""
        from servers.front.workers.observing import (
            observing,
        )  # here, since no other server has use for it

        return observing(cls, tally, places)

    def __init__(
        self, master: int, listener: socket.socket, mode: IsolationMode, sites: Sites
    ) -> None:
        """Prepare the socket, and this process and its children for the signals of `master`."""
        self._master = master
        self._listener = listener
        self._mode = mode
        self._sites = sites
        self._slot = Scoreboard(1).slots[0]  # which nobody looks at; `serve` gets another
        self._limits = mode.setting.limits
        self._address: tuple[str, int] = listener.getsockname()
        self._port = self._address[1]
        self._left: float = mode.max_requests or float("inf")
        self._interruptible = False
        self._in_request = self._reap_later = False
        self._limit_patience()
        signal.signal(signal.SIGALRM, self._on_overdue)
        signal.signal(signal.SIGUSR1, self._on_question)

    def rehearse(self) -> None:
        """Answer a request for nothing, until the interpreter has filled its caches.

        Otherwise each forked worker would do the same anew, in copies of the pages concerned.
        Where a worker serves one request only, those that it does write to are copied early.
        """
        here = os.getcwd()
        for _ in range(REHEARSALS):
            self._rehearse()
        os.chdir(here)
        frozen_heap.freeze()
        if self._mode.max_requests == 1:
            pinned_pages.arrange(self._serve_ourselves)

    def _rehearse(self) -> None:
        parser = RequestParser(self._limits.head, self._limits.body)
        for request in parser.feed(_REHEARSAL):
            answer = self._handle(request)
            if isinstance(answer, Response):
                render(answer, keep_alive=False)
            request.script = self._rehearsed().script(request.target)
            request.remote, request.port = _NOBODY, self._port
            self._mode.rehearse(request)

    def _rehearsed(self) -> Site:
        """Return the site of `warmup_script`, as that of a tenant who is www."""
        return Site(
            "rehearsal", os.fsdecode(os.path.dirname(WARMUP_SCRIPT)), self._mode.setting.www
        )

    def _serve_ourselves(self) -> None:
        """Do all that a worker does for one request, for a script of our own.

        In a child of the master, which ends with it. A refusal, where www cannot read the script,
        will do as well.
        """
        client, connection = socket.socketpair()
        client.sendall(_REHEARSAL)
        client.shutdown(socket.SHUT_WR)  # or we would wait for more before we close
        self._sites.add(self._rehearsed())
        self._mode.child_init()
        self._serve_connection(connection, _NOBODY)

    def serve(self, slot: Slot) -> None:
        """Take the mode's resting identity, and serve until `max_requests` is reached, if ever."""
        self._begin(slot)
        turn, listener = slot.turn, self._listener.fileno()
        while self._left:
            turn.take(listener)
            try:
                descriptor, remote = self._listener._accept()  # type: ignore[attr-defined]
            except (BlockingIOError, ConnectionAbortedError):
                continue  # the time set by _limit_patience also ends an accept that waits in vain
            turn.occupied()
            connection = connection_of(descriptor)
            try:
                self._serve_connection(connection, remote)
            finally:
                end(connection)
        turn.pass_on()

    def _begin(self, slot: Slot) -> None:
        """Become ready to serve."""
        self._mode.child_init()
        self._die_with_the_master()
        self._slot = slot
        on_compiling(slot.count_compiled)
        slot.start()

    def _die_with_the_master(self) -> None:
        """Ask for a signal at the master's death, then look whether the wish came too late.

        Not before `child_init`: a change of credentials revokes it (prctl(2)). Where the master is
        the first process of a pid namespace there is no need (pid_namespaces(7)).
        """
        if self._master != 1:
            syscalls.prctl(syscalls.PR_SET_PDEATHSIG, signal.SIGKILL)
            if os.getppid() != self._master:
                os._exit(1)

    def _limit_patience(self) -> None:
        """Bound each receive and send in time.

        The kernel does it (socket(7), SO_RCVTIMEO), which unlike settimeout costs no extra system
        call, and accepted sockets inherit it from the listening one.
        """
        patience = _timeval(self._limits.client)
        self._listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, patience)
        self._listener.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, patience)
        self._listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def restore_listener(self) -> None:
        """Put the listening socket right, which scripts may have got hold of. In the master.

        All workers share it, so one that shuts it down, or has accept not wait, concerns them all.
        Raises OSError, such as when somebody has taken the port in the meantime.
        """
        if self._listener.getsockname() != self._address or not self._listener.getsockopt(
            socket.SOL_SOCKET, socket.SO_ACCEPTCONN
        ):
            self._take_the_address_again()
        self._listener.listen(BACKLOG)
        os.set_blocking(self._listener.fileno(), True)
        self._limit_patience()

    def _take_the_address_again(self) -> None:
        """Leave whatever state the socket is in, for that of a new one.

        The second step, of one that listens, undoes what was noted of an earlier shutdown, which
        accepted sockets would have from it (inet_shutdown and tcp_disconnect in the kernel).
        """
        self._listener.listen(BACKLOG)
        self._listener.shutdown(socket.SHUT_RDWR)
        try:
            self._listener.bind(self._address)
        except OSError as error:
            if error.errno != errno.EINVAL:  # it still has it, since its port was chosen
                raise

    def _on_question(self, _signal: int, _frame: FrameType | None) -> None:
        """Tell what we have used, and reap what scripts have left, for which the master asks."""
        self._slot.publish_usage()
        if self._in_request:
            self._reap_later = True  # a script may be waiting for children of its own
        else:
            self._mode.reap_strays()

    def _on_overdue(self, _signal: int, _frame: FrameType | None) -> None:
        """Take the master's word that the script's time is up, unless it has just ended."""
        if self._interruptible and self._slot.busy_seconds() >= self._limits.script:
            self._interruptible = False
            raise ScriptTimeout

    def _serve_connection(self, connection: socket.socket, remote: tuple[str, int]) -> None:
        parser = RequestParser(self._limits.head, self._limits.body)
        deadline = 0.0
        try:
            while data := connection.recv(CHUNK):
                for request in parser.feed(data):
                    deadline = 0.0
                    request.remote = remote
                    request.port = self._port
                    goes_on = request.keep_alive
                    if not self._answer(connection, request):
                        if goes_on:  # as far as the client knows
                            self._see_off(connection, LINGER_SECONDS)
                        return
                    self._slot.turn.pass_on()
                if parser.mid_message:
                    deadline = deadline or time.monotonic() + self._limits.client
                    if time.monotonic() > deadline:
                        raise BadRequest(408, "the request did not arrive in time")
                if parser.expects_continue:
                    parser.expects_continue = False
                    connection.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
        except BadRequest as error:
            response = plain_response(error.status, str(error))
            self._refuse(connection, response, parser.head_only)
        except BlockingIOError:  # the time set by _limit_patience is over
            if parser.mid_message:
                response = plain_response(408, "the request did not arrive in time")
                self._refuse(connection, response, parser.head_only)
        except OSError:
            return  # the client is gone, and with it whoever could be told

    def _answer(self, connection: socket.socket, request: Request) -> bool:
        """Serve one request; return whether the connection may serve another."""
        self._in_request = True
        self._slot.begin()
        request.connection = connection
        self._left -= 1
        if not self._left:
            request.keep_alive = False
            self._listener.close()  # or the script could take other clients from it
        try:
            answer = self._handle(request)
            if isinstance(answer, Response):
                answer = reply(request, answer)
            return answer is Answered.KEEP
        finally:
            self._clean_up(request)
            self._slot.end()
            self._in_request = False
            if self._reap_later:
                self._reap_later = False
                self._mode.reap_strays()

    def _clean_up(self, request: Request) -> None:
        """Let the mode undo what it did. Whatever fails here ends the worker.

        An OSError must not pass for a client that is gone: the way back to the server's identity
        may be what failed.
        """
        try:
            self._mode.cleanup(request)
        except OSError as error:
            raise CleanupFailed(f"{type(self._mode).__module__}: {error}") from error

    def _handle(self, request: Request) -> Response | Answered:
        try:
            return respond(request, self._locate_and_run)
        except Unfit as error:
            log(request, f"this worker ends, since it can no longer serve: {error}")
            self._left = 0
            request.keep_alive = False
            return plain_response(503, "the server's process could not serve it")

    def _locate_and_run(self, request: Request) -> Response | Answered:
        if request.target == b"*":
            return options_response()
        request.script = self._sites.find(request.host).script(request.target)
        if request.script.site.owner.uid == 0 and self._mode.runs_as == RunsAs.OWNER:
            raise PermissionError("the site is root's, and content never runs as root")
        self._interruptible = True
        try:
            return self._mode.handle(request)
        finally:
            self._interruptible = False

    def _refuse(self, connection: socket.socket, response: Response, head_only: bool) -> None:
        """Answer a request that was not read to its end."""
        try:
            connection.sendall(render(response, keep_alive=False, head_only=head_only))
        except OSError:
            return
        self._see_off(connection, self._limits.client)

    def _see_off(self, connection: socket.socket, seconds: float) -> None:
        """End a connection on which the client may still be sending.

        Closing with unread data resets the connection and may destroy the answer on its way
        (RFC 9112, section 9.6), so what still comes is read and thrown away first.
        """
        seconds = min(seconds, self._limits.client)
        deadline = time.monotonic() + seconds
        try:
            connection.shutdown(socket.SHUT_WR)
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, _timeval(seconds))
            drained = 0
            while (
                drained < MOST_DRAINED
                and time.monotonic() < deadline
                and (data := connection.recv(CHUNK))
            ):
                drained += len(data)
        except OSError:
            return


def _timeval(seconds: float) -> bytes:
    """Return a struct timeval, of two longs."""
    whole, rest = divmod(seconds, 1)
    parts = int(whole), int(rest * 1e6)
    return b"".join(part.to_bytes(_LONG_BYTES, sys.byteorder) for part in parts)


def connection_of(descriptor: int) -> socket.socket:
    """Return the connection that was accepted as `descriptor`."""
    if descriptor <= _STANDARD_ERROR:
        descriptor = _moved_off_the_standard_streams(descriptor)
    return socket.socket(socket.AF_INET, socket.SOCK_STREAM, 0, descriptor)


def end(connection: socket.socket) -> None:
    """Close a connection, of which a child that a script has forked may hold a copy.

    The client waits for the end of what the server sends, not of who could send. Apache shuts its
    side down first as well (ap_start_lingering_close in connection.c).
    """
    try:
        connection.shutdown(socket.SHUT_WR)
    except OSError:
        pass  # the client has reset it
    connection.close()


def _moved_off_the_standard_streams(connection: int) -> int:
    """Give the descriptor `connection` another number, and its present one to /dev/null.

    It has such a number because a script closed a standard stream of this worker: what another
    script writes there would reach the client.
    """
    moved = os.dup(connection)
    detach.redirect_to_null(connection)
    return moved if moved > _STANDARD_ERROR else _moved_off_the_standard_streams(moved)
