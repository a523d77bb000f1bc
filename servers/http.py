"""HTTP/1.1 requests in (parsed by httptools), responses out. Bytes in, values out; no sockets."""

from __future__ import annotations

import time

from servers.remembered import Remembered
from servers.typed import TypingSpared

with TypingSpared():
    import httptools

TYPE_CHECKING = False  # what mypy believes to be true, as that of `typing`
if TYPE_CHECKING:
    import socket
    from collections.abc import Iterator
    from typing import Final

    from servers.sites import Script

REASONS: Final = {
    200: b"OK",
    201: b"Created",
    204: b"No Content",
    301: b"Moved Permanently",
    302: b"Found",
    303: b"See Other",
    304: b"Not Modified",
    307: b"Temporary Redirect",
    308: b"Permanent Redirect",
    400: b"Bad Request",
    401: b"Unauthorized",
    403: b"Forbidden",
    404: b"Not Found",
    405: b"Method Not Allowed",
    408: b"Request Timeout",
    410: b"Gone",
    413: b"Content Too Large",
    414: b"URI Too Long",
    422: b"Unprocessable Content",
    429: b"Too Many Requests",
    431: b"Request Header Fields Too Large",
    500: b"Internal Server Error",
    501: b"Not Implemented",
    502: b"Bad Gateway",
    503: b"Service Unavailable",
    504: b"Gateway Timeout",
}

# RFC 9112, section 9.6, and RFC 3875, section 6.3: what concerns the connection is the server's to
# say, and the length is counted here.
_SERVER_HEADERS: Final = frozenset(
    [b"connection", b"content-length", b"date", b"keep-alive", b"transfer-encoding", b"upgrade"]
)

_LONGEST_TARGET: Final = 8 * 1024
_AROUND_A_HEADER: Final = len(b": \r\n")

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
    """What a script answered: a status, headers in order, a body."""

    __slots__ = ("body", "headers", "status")

    def __init__(self, status: int, headers: Headers, body: bytes) -> None:
        self.status = status
        self.headers = headers
        self.body = body


class RequestParser:
    """Turns the bytes of one connection into requests, in order, pipelined ones included.

    `feed` raises BadRequest; after that the connection is of no more use.
    """

    def __init__(self, head_limit: int, body_limit: int) -> None:
        self._head_limit = head_limit
        self._body_limit = body_limit
        self._parser = httptools.HttpRequestParser(self)
        self._complete: list[Request] = []
        self._start_message()

    def _start_message(self) -> None:
        self._head_bytes = 0
        self._in_body = False
        self._target = b""
        self._headers: list[tuple[bytes, bytes]] = []
        self._body: list[bytes] = []
        self._body_bytes = 0
        self._host: bytes | None = None
        self.expects_continue = False

    @property
    def mid_message(self) -> bool:
        """Whether a request has begun that is not complete."""
        return self._head_bytes > 0

    def feed(self, data: bytes) -> Iterator[Request]:
        """Take the next bytes of the connection and yield the requests that they complete.

        Good requests before a bad one are yielded first: they deserve their answers, and without
        them the client would take the refusal for the answer to the first.
        """
        refusal = self._parse(data)
        if self._complete:
            complete, self._complete = self._complete, []
            yield from complete
        if refusal is not None:
            raise refusal

    def _parse(self, data: bytes) -> BadRequest | None:
        self._head_bytes += len(data)
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            self._complete.pop()  # the request itself, complete but not to be served
            return BadRequest(501, "protocol upgrades are not supported")
        except httptools.HttpParserError as error:
            # A callback's own refusal arrives as the context of httptools' error.
            if isinstance(error.__context__, BadRequest):
                return error.__context__
            return BadRequest(400, f"malformed request: {error}")
        if not self._in_body and self._head_bytes > self._head_limit:
            return BadRequest(431, "the request's head is too large")
        return None

    # Callbacks of httptools, in the order in which it makes them.

    def on_url(self, url: bytes) -> None:
        """Take a piece of the request target."""
        self._target += url
        if len(self._target) > _LONGEST_TARGET:
            raise BadRequest(414, "the request target is too long")

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take one header; a second Host is an error (RFC 9112, section 3.2)."""
        self._headers.append((name, value))
        if len(name) == 4 and name.lower() == b"host":
            if self._host is not None:
                raise BadRequest(400, "more than one Host header")
            self._host = value

    def on_headers_complete(self) -> None:
        """Look at the head's size, and at what it says of the body to come."""
        self._in_body = True
        size = len(self._target)
        for name, value in self._headers:
            size += len(name) + len(value) + _AROUND_A_HEADER
            lowered = name.lower()
            if lowered == b"content-length" and int(value) > self._body_limit:
                raise BadRequest(413, "the request's body is too large")
            if lowered == b"expect" and value.lower() == b"100-continue":
                self.expects_continue = True
        if size > self._head_limit:
            raise BadRequest(431, "the request's head is too large")

    def on_body(self, data: bytes) -> None:
        """Take a piece of the body."""
        self._body.append(data)
        self._body_bytes += len(data)
        if self._body_bytes > self._body_limit:
            raise BadRequest(413, "the request's body is too large")

    def on_message_complete(self) -> None:
        """Put the request together and start the next one."""
        if self._host is None:  # RFC 9112, section 3.2
            raise BadRequest(400, "no Host header")
        parser = self._parser
        request = Request()
        request.method = parser.get_method()
        request.target = self._target
        request.version = parser.get_http_version()
        request.headers = self._headers
        request.host = self._host
        request.body = b"".join(self._body)
        request.keep_alive = parser.should_keep_alive()
        self._complete.append(request)
        self._start_message()


def plain_response(status: int, text: str) -> Response:
    """Return the server's own answer, as plain text."""
    return Response(
        status, ((b"Content-Type", b"text/plain; charset=utf-8"),), f"{text}\n".encode()
    )


def render(response: Response, keep_alive: bool, head_only: bool = False) -> bytes:
    """Return the bytes of `response` on the wire."""
    head = _heads[response.status, response.headers, keep_alive]
    body = response.body
    if response.status in (204, 304):  # RFC 9110, section 6.4.1: these have no content
        return head + _date() + b"\r\n"
    length = b"Content-Length: %d\r\n\r\n" % len(body)
    if head_only:
        return head + _date() + length
    return b"".join((head, _date(), length, body))


def _render_head(what: tuple[int, Headers, bool]) -> bytes:
    status, headers, keep_alive = what
    reason = REASONS.get(status, b"Unknown")
    lines = [b"HTTP/1.1 %d %s\r\n" % (status, reason)]
    lines += [
        b"%s: %s\r\n" % (name, value)
        for name, value in headers
        if name.lower() not in _SERVER_HEADERS
    ]
    lines.append(b"Connection: keep-alive\r\n" if keep_alive else b"Connection: close\r\n")
    return b"".join(lines)


_heads: Final = Remembered(_render_head)


class _DateHeader:
    """The Date header (RFC 9110, section 6.6.1), formatted once a second."""

    _days = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
    _months = (
        "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
    )  # fmt: skip

    def __init__(self) -> None:
        self._second = 0
        self._line = b""

    def __call__(self) -> bytes:
        second = int(time.time())
        if second != self._second:
            now = time.gmtime(second)
            day, month = self._days[now.tm_wday], self._months[now.tm_mon - 1]
            clock = f"{now.tm_hour:02}:{now.tm_min:02}:{now.tm_sec:02}"
            text = f"Date: {day}, {now.tm_mday:02} {month} {now.tm_year} {clock} GMT\r\n"
            self._line = text.encode("ascii")
            self._second = second
        return self._line


_date: Final = _DateHeader()
