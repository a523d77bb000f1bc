"""One client that sends one request at a time, each on its own connection.

For profiles: what a request passes is seen best where no other request is in the way. It reads the
clock just before it connects and as soon as the last byte of the answer is there, and then waits
until the server has closed the connection, so that the next request finds the worker at rest.
"""

from __future__ import annotations

import socket
import time
from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from harness.errors import IsobenchError
from harness.profile.instrument import stamps_in, without_stamps
from workloads.credential import Stamper
from workloads.load import spec
from workloads.load.clients.reply import ExchangeFailed, Reply, ReplyParser
from workloads.proof import Identity

_CHUNK: Final = 64 * 1024
_MOST_BYTES: Final = 16 * 1024 * 1024
_PATIENCE_S: Final = 30.0


class WrongAnswer(IsobenchError):
    """An answer is not what the tenant's script prints, or did not come."""


class Answered(NamedTuple):
    """One request: when it began and was answered (ns, CLOCK_MONOTONIC); the script's own times."""

    began: int
    delivered: int
    script: dict[str, int]


class SerialClient:
    """Sends requests to all tenants in rotation, and checks each answer.

    `command` is what `workloads.load.spec.read` takes.
    """

    def __init__(self, command: Mapping[str, Any]) -> None:
        asked = spec.read(command)
        self._port = asked.port
        self._asks = spec.asks(asked)
        self._next = 0
        self._senders: dict[str, Identity] = {one.tenant: one.identity for one in asked.tenants}
        key = asked.credential_key
        self._stamper = Stamper(key, asked.host, asked.port) if key else None

    def ask(self) -> Answered:
        """Send one request. Raises WrongAnswer."""
        ask = self._asks[self._next % len(self._asks)]
        self._next += 1
        parser = ReplyParser(_MOST_BYTES)
        try:
            with socket.socket() as connection:
                self._prepare(connection, ask.tenant)
                began = time.monotonic_ns()
                connection.connect((ask.host, self._port))
                connection.sendall(ask.request)
                reply, delivered = _received(connection, parser)
                while connection.recv(_CHUNK):
                    pass
        except (OSError, ExchangeFailed) as error:
            raise WrongAnswer(
                f"no answer from {ask.tenant}'s script: {error}", hint=_HINT
            ) from error
        if reason := ask.check(reply.status, without_stamps(reply.body)):
            raise WrongAnswer(f"a wrong answer from {ask.tenant}'s script: {reason}", hint=_HINT)
        return Answered(began, delivered, stamps_in(reply.body))

    def _prepare(self, connection: socket.socket, tenant: str) -> None:
        connection.settimeout(None)
        timeout = int(_PATIENCE_S).to_bytes(8, "little") + bytes(8)
        # The kernel's own limit: settimeout would cost a poll before each call.
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, timeout)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if self._stamper is not None:
            self._stamper.stamp(connection, self._senders[tenant])


_HINT: Final = "try the target by hand: isobench serve"


def _received(connection: socket.socket, parser: ReplyParser) -> tuple[Reply, int]:
    while True:
        data = connection.recv(_CHUNK)
        at = time.monotonic_ns()
        reply = parser.feed(data) if data else parser.end()
        if reply is not None:
            return reply, at
