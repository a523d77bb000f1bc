"""The client of a scene: asks the server as its tenants' visitors do."""

from __future__ import annotations

import socket

from harness.attack.visitors.raw_http import PATIENCE_S, Door, Reply, first_of, request, rest_of
from workloads.tenants import Tenant


def _stays(reply: Reply) -> bool:
    """Return whether the connection of an answer serves another request."""
    head = reply.raw.partition(b"\r\n\r\n")[0].lower()
    return head.startswith(b"http/1.1") and b"\r\nconnection: close" not in head


class Client:
    """Asks for tenants' scripts, each on a connection of its own, or on one that is kept."""

    def __init__(self, door: Door) -> None:
        self._door = door
        self._kept: socket.socket | None = None

    def get(
        self,
        tenant: Tenant,
        target: str,
        headers: dict[str, str],
        patience_s: float | None = None,
    ) -> Reply:
        """Ask on a connection of its own; an answer that does not come in time is none."""
        try:
            with self._door.connect(tenant, patience_s or PATIENCE_S) as connection:
                connection.sendall(request(tenant, target, headers))
                return rest_of(connection)
        except OSError:
            return Reply()  # nobody listens any more, or nobody reads

    def get_kept(self, tenant: Tenant, target: str, headers: dict[str, str]) -> Reply:
        """Ask on the connection of the tenant's request before, if it lives.

        What a request leaves behind may be in a process that ends with its connection.
        """
        for _ in range(2):
            try:
                if self._kept is None:
                    self._kept = self._door.connect(tenant)
                self._kept.sendall(request(tenant, target, headers, keep=True))
                reply, behind = first_of(self._kept)
            except OSError:
                reply, behind = Reply(), b""
            if reply.status and not behind and _stays(reply):
                return reply
            self.let_go()
            if reply.status:
                return Reply(reply.raw + behind)
        return Reply()

    def get_both(
        self, first: tuple[Tenant, str], second: tuple[Tenant, str]
    ) -> tuple[Reply, Reply]:
        """Ask for two targets, of different tenants, on one connection."""
        try:
            with self._door.connect(first[0]) as connection:
                connection.sendall(request(*first, {}, keep=True))
                reply, behind = first_of(connection)
                connection.sendall(request(*second, {}))
                return reply, Reply(behind + rest_of(connection).raw)
        except OSError:
            return Reply(), Reply()

    def let_go(self) -> None:
        """Close the connection that is kept, if there is one."""
        if self._kept is not None:
            self._kept.close()
            self._kept = None
