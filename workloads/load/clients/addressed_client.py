"""The lean client for servers at which each tenant has an address of its own."""

from collections.abc import Mapping

from workloads.catalog import Connection
from workloads.load.clients.client import Client
from workloads.load.clients.reply import Reply


class AddressedClient(Client):
    """A client that sends each request to the address that it is mapped to, all at one port.

    A connection leads to one address for its life. So a request to another closes the connection
    and makes a new one, also with `connection="keep-alive"`.
    """

    def __init__(
        self, hosts: Mapping[bytes, str], port: int, *, connection: Connection = "keep-alive"
    ) -> None:
        super().__init__(next(iter(hosts.values())), port, connection=connection)
        self._hosts = hosts

    def exchange(self, request: bytes) -> Reply:
        """Send one request to its own address, and return the reply. Raises `ExchangeFailed`."""
        address = (self._hosts[request], self._address[1])
        if address != self._address:
            self._disconnect()
            self._address = address
        return super().exchange(request)
