"""A worker that forks for each connection: the child serves it to its end, the worker waits.

As mpm-itk does it (its hook process_connection): whatever a connection asks for is done in a
process of its own, which may become somebody for good, and ends with the connection.

Rule: the worker, which may be root, believes nothing that the child says of itself, since a script
runs there. For how long the child has been at a request it takes from the kernel: since the client
has last sent something (tcp(7), TCP_INFO). How many requests were served the child counts, but no
more are believed than the client has sent bytes for.
"""

from __future__ import annotations

import os
import select
import sys
import time

from servers.front.shared_memory.scoreboard import Scoreboard, Slot
from servers.front.workers.worker import Worker, end
from servers.interpreter.embedded import on_compiling
from servers.kernel.reaping import await_end

TYPE_CHECKING = False  # what mypy believes to be true, as that of `typing`
if TYPE_CHECKING:
    import signal
    import socket
    from types import FrameType
    from typing import Final
else:  # what the two are made of, without `enum` and `selectors`
    import _signal as signal
    import _socket as socket

_LAST_DESCRIPTOR: Final = 0xFFFF
_LOOK_MILLISECONDS: Final = 250
_SHORTEST_REQUEST: Final = 18  # b"GET / HTTP/1.0\r\n\r\n"
# struct tcp_info (linux/tcp.h): the age of what was received last, in ms, and bytes in all.
_TCP_INFO_BYTES: Final = 136
_LAST_RECEIVED: Final = slice(52, 56)
_BYTES_RECEIVED: Final = slice(128, 136)


class ConnectionWorker(Worker):
    """Serves each connection in a child."""

    answers_in_children = True
    _child = 0
    _overdue = False

    def _serve_connection(self, connection: socket.socket, remote: tuple[str, int]) -> None:
        self._in_request = True  # the child is not a stray that could be reaped meanwhile
        before, tally = self._slot.served(), Scoreboard(1).slots[0]
        self._slot.begin()
        self._child = os.fork()
        if self._child == 0:
            self._serve_to_the_end(connection, remote, tally)
        try:
            self._follow(connection, before, tally)
        finally:
            self._slot.follow(before + _believable(connection, tally), 0)
            self._child = 0
            self._in_request = False
        if self._reap_later:
            self._reap_later = False
            self._mode.reap_strays()

    def _serve_to_the_end(
        self, connection: socket.socket, remote: tuple[str, int], tally: Slot
    ) -> None:
        """Be the child: serve the connection as other workers do, and end."""
        try:
            signal.signal(signal.SIGUSR1, signal.SIG_IGN)  # which asks workers what they have used
            _keep_only(connection.fileno())
            self._slot = tally
            on_compiling(tally.count_compiled)
            self._in_request = False
            super()._serve_connection(connection, remote)
            end(connection)
        except Exception as error:
            print(f"[{os.getpid()}] a connection broke off: {error}", file=sys.stderr, flush=True)
        finally:
            os._exit(0)

    def _follow(self, connection: socket.socket, before: int, tally: Slot) -> None:
        """Wait for the child's end; meanwhile tell the master how it is getting on."""
        descriptor = os.pidfd_open(self._child)
        try:
            poll = select.poll()
            poll.register(descriptor, select.POLLIN)
            while not poll.poll(_LOOK_MILLISECONDS):
                since = time.monotonic_ns() - _quiet_ns(connection)
                self._slot.follow(before + _believable(connection, tally), since)
                if self._overdue:
                    self._hurry()  # its own clock started a little later
        finally:
            os.close(descriptor)
            self._overdue = False
        await_end(self._child)

    def _on_overdue(self, number: int, frame: FrameType | None) -> None:
        """Tell the child, in which the script runs. The child raises what ends the script."""
        if self._child:
            self._overdue = True
            self._hurry()
        else:
            super()._on_overdue(number, frame)

    def _hurry(self) -> None:
        os.kill(self._child, signal.SIGALRM)


def _keep_only(descriptor: int) -> None:
    """Close all that the worker has open but the standard streams and one descriptor."""
    os.closerange(3, descriptor)
    os.closerange(descriptor + 1, _LAST_DESCRIPTOR)


def _tcp_info(connection: socket.socket) -> bytes:
    return connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _TCP_INFO_BYTES)


def _quiet_ns(connection: socket.socket) -> int:
    """Return for how long the client has sent nothing, in nanoseconds."""
    return int.from_bytes(_tcp_info(connection)[_LAST_RECEIVED], sys.byteorder) * 1_000_000


def _believable(connection: socket.socket, tally: Slot) -> int:
    received = int.from_bytes(_tcp_info(connection)[_BYTES_RECEIVED], sys.byteorder)
    return min(max(tally.served(), 0), received // _SHORTEST_REQUEST)
