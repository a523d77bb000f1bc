"""The lean client for servers that go by the client's identity: its connections carry one."""

import socket
from collections.abc import Mapping

from workloads.catalog import Connection
from workloads.credential import Stamper, obstacle
from workloads.load.clients.client import Client, ConnectionFailed, SocketType
from workloads.load.clients.reply import Reply
from workloads.proof import Identity


class StampedClient(Client):
    """A client that asks on behalf of others, each request as the one whom it is mapped to.

    A connection carries one identity for its life, as another person's browser would have a
    connection of its own. So a request on behalf of another closes the connection and makes a new
    one, also with `connection="keep-alive"`.
    """

    def __init__(
        self,
        host: str,
        port: int,
        *,
        stamper: Stamper,
        senders: Mapping[bytes, Identity],
        connection: Connection = "keep-alive",
    ) -> None:
        super().__init__(host, port, connection=connection, new_socket=self._stamped_socket)
        self._stamper = stamper
        self._senders = senders
        self._sender: Identity | None = None

    def exchange(self, request: bytes) -> Reply:
        """Send one request as its sender, and return its reply. Raises `ExchangeFailed`."""
        sender = self._senders[request]
        if sender != self._sender:
            self._disconnect()
            self._sender = sender
        return super().exchange(request)

    def _stamped_socket(self, family: int, kind: int) -> socket.socket:
        assert self._sender is not None
        connection = SocketType(family, kind)
        try:
            self._stamper.stamp(connection, self._sender)
        except OSError as error:
            connection.close()
            raise ConnectionFailed(obstacle() or str(error)) from None
        return connection
