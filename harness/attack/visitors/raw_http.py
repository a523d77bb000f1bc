"""One request at a time, by hand: what an attack's scene asks of a server, and all that comes."""

from __future__ import annotations

import socket
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from workloads import credential
from workloads.tenants import Tenant

PATIENCE_S = 12.0
"""After which an answer that does not come is taken for none."""

TIMED_OUT = 504
"""The status where a script took too long (RFC 9110, section 15.6.5)."""

_MORE_S = 0.1
_CHUNK = 65536


@dataclass(frozen=True)
class Reply:
    """An answer, with status 0 where there was none. `raw` is all that came, head included."""

    raw: bytes = b""

    @property
    def status(self) -> int:
        """The status, of the first answer where there are several."""
        first = self.raw[:12].split(b" ")
        return int(first[1]) if len(first) > 1 and first[1].isdigit() else 0

    @property
    def body(self) -> bytes:
        """All that follows the first head."""
        return self.raw.partition(b"\r\n\r\n")[2]


@dataclass(frozen=True)
class Door:
    """Where a server is asked, and with which key its clients say who they are, if they do.

    `host_of` returns the address at which a uid's scripts are asked for; None: the server's own.
    """

    host: str
    port: int
    key: bytes | None = None
    host_of: Callable[[int], str | None] = lambda _uid: None

    @classmethod
    def of(
        cls,
        host: str,
        port: int,
        key: Path | None,
        host_of: Callable[[int], str | None] = lambda _uid: None,
    ) -> Door:
        """Make one; `key` is the file of the clients' key."""
        return cls(host, port, None if key is None else credential.read_key(key), host_of)

    def connect(self, tenant: Tenant, patience_s: float = PATIENCE_S) -> socket.socket:
        """Return a connection, of this tenant where the server goes by the client's identity.

        On it, nothing is waited for longer than `patience_s`.
        """
        connection = socket.socket()
        connection.settimeout(patience_s)
        try:
            if self.key is not None:
                stamper = credential.Stamper(self.key, self.host, self.port)
                stamper.stamp(connection, tenant.identity)
            connection.connect((self.host_of(tenant.uid) or self.host, self.port))
        except BaseException:
            connection.close()
            raise
        return connection


def request(tenant: Tenant, target: str, headers: dict[str, str], keep: bool = False) -> bytes:
    """Return the bytes of a request for something of a tenant's."""
    fields = {
        "Host": f"{tenant.name}.localhost",
        **headers,
        "Connection": "keep-alive" if keep else "close",
    }
    lines = [f"GET {target} HTTP/1.1", *(f"{name}: {value}" for name, value in fields.items())]
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")


def rest_of(connection: socket.socket) -> Reply:
    """Return all that comes until the server closes the connection, breaks it, or has answered.

    Something that a script has left running may hold the connection open, so a little while after
    a whole answer is enough.
    """
    return _received(connection, more=True)


def first_of(connection: socket.socket) -> tuple[Reply, bytes]:
    """Return one answer of a connection that stays open, and what came behind it, if anything.

    A client takes that for the beginning of its next answer.
    """
    raw = _received(connection, more=False).raw
    end = _end_of_first(raw) or len(raw)
    return Reply(raw[:end]), raw[end:]


def _received(connection: socket.socket, more: bool) -> Reply:
    received = b""
    try:
        while chunk := connection.recv(_CHUNK):
            received += chunk
            if _end_of_first(received):
                if not more:
                    break
                connection.settimeout(_MORE_S)
    except OSError:
        pass  # reset, or out of patience: what came before counts
    return Reply(received)


def _end_of_first(received: bytes) -> int:
    """Return where the first answer ends by the length it declares, 0 if it is not all there.

    One in chunks is taken to be the only one.
    """
    head, end, body = received.partition(b"\r\n\r\n")
    if end and b"\r\ntransfer-encoding: chunked" in head.lower():
        return len(received) if body.endswith(b"0\r\n\r\n") else 0
    for line in head.lower().split(b"\r\n"):
        name, _, value = line.partition(b":")
        if end and name == b"content-length" and value.strip().isdigit():
            length = int(value)
            return len(head) + len(end) + length if len(body) >= length else 0
    return 0
