"""The lean client for servers at which each tenant has an address of its own."""

import socket
from collections.abc import Mapping

from workloads.catalog import Connection
from workloads.load.clients.client import READ, Client
from workloads.load.clients.reply import Reply

MOST_RESTING = 64
"""Connections that a user keeps besides the one in use; `closed_loop.c` has the same number."""


class AddressedClient(Client):
    """A client that sends each request to the address that it is mapped to, all at one port.

    A connection leads to one address for its life. With `connection="keep-alive"` the one to the
    former address rests until that is asked again, as browsers keep connections to several sites:
    up to `MOST_RESTING`, of which the one that has rested longest is closed first.
    """

    def __init__(
        self, hosts: Mapping[bytes, str], port: int, *, connection: Connection = "keep-alive"
    ) -> None:
        super().__init__(next(iter(hosts.values())), port, connection=connection)
        self._hosts = hosts
        self._resting: dict[tuple[str, int], socket.socket] = {}

    def exchange(self, request: bytes) -> Reply:
        """Send one request to its own address, and return the reply. Raises `ExchangeFailed`."""
        address = (self._hosts[request], self._address[1])
        if address != self._address:
            self._turn_to(address)
        return super().exchange(request)

    def close(self) -> None:
        """Close all connections and stop the clock."""
        for connection in self._resting.values():
            connection.close()
        self._resting.clear()
        super().close()

    def _turn_to(self, address: tuple[str, int]) -> None:
        rested = self._resting.pop(address, None)
        if self._socket is not None:
            self._rest(self._socket)
        self._address, self._socket = address, rested
        if self._socket is not None:
            self._parser.connected()
            self._readable = self._hub.loop.io(self._socket.fileno(), READ)

    def _rest(self, connection: socket.socket) -> None:
        """Keep a connection, unwatched: what the server does to it the next request finds out."""
        self._readable.close()
        self._readable = self._socket = None
        if len(self._resting) >= MOST_RESTING:
            self._resting.pop(next(iter(self._resting))).close()
        self._resting[self._address] = connection
