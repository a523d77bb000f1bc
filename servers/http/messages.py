"""What goes in and out: a request that was parsed, and what it is answered."""

from __future__ import annotations

TYPE_CHECKING = False  # what mypy believes to be true, as that of `typing`
if TYPE_CHECKING:
    import socket

    from servers.sites import Script

Headers = tuple[tuple[bytes, bytes], ...]


class BadRequest(Exception):
    """The client is to blame. `status` is the HTTP status to answer with before closing."""

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(reason)
        self.status = status


class Request:
    """One parsed request.

    `target` is the request target as it was sent, path and query. The worker fills in
    `connection`, `remote`, `port` (the server's) and `script` before a mode sees the request.
    """

    __slots__ = (
        "body",
        "connection",
        "headers",
        "host",
        "keep_alive",
        "method",
        "port",
        "remote",
        "script",
        "target",
        "version",
    )

    method: bytes
    target: bytes
    version: str
    headers: list[tuple[bytes, bytes]]
    host: bytes
    body: bytes
    keep_alive: bool
    connection: socket.socket
    remote: tuple[str, int]
    port: int
    script: Script


class Response:
    """What a script answered: a status, headers in order, a body, and perhaps a reason phrase."""

    __slots__ = ("body", "headers", "reason", "status")

    def __init__(self, status: int, headers: Headers, body: bytes, reason: bytes = b"") -> None:
        self.status = status
        self.headers = headers
        self.body = body
        self.reason = reason
