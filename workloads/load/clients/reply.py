"""Bytes in, HTTP replies out; no sockets, so that every broken reply can be tested at once.

`httptools` (the parser of Node.js, llhttp) does the parsing. What it leaves to its user is here:
a body that ends with the connection, a second reply that nobody asked for, a bound on the size.
"""

from typing import NamedTuple

import httptools

FRAMING = frozenset({b"content-length", b"transfer-encoding"})
"""The header fields that say where a body ends; without one it ends with the connection."""


SURPLUS = "more than one reply to one request"
CLOSED_AT_ONCE = "the server closed the connection without a reply"
CLOSED_IN_HEADERS = "the server closed the connection in the middle of the headers"
CLOSED_IN_BODY = "the server closed the connection in the middle of the body"


class ExchangeFailed(Exception):
    """A request that brought back no complete reply. The message is a plain reason."""


class BrokenReply(ExchangeFailed):
    """What came back is not one complete HTTP reply of a bearable size."""


def too_long(most_bytes: int) -> BrokenReply:
    """Return what is wrong with a reply that is longer than that."""
    return BrokenReply(f"the reply is longer than {most_bytes} bytes")


class Reply(NamedTuple):
    """One complete reply; `keep_alive` tells whether the server will take another request."""

    status: int
    body: bytes
    keep_alive: bool


class ReplyParser:
    """Parses the replies of one connection after the other.

    Call `connected()` for each new connection, `begin()` before each request, then `feed()` what
    arrives and `end()` when the server closed, until one of them returns the reply.

    The parser and its callbacks refer to each other. `connected()` breaks the former circle by
    hand, since the garbage collector is off while requests are measured.
    """

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self.connected()

    def connected(self) -> None:
        """Forget the former connection."""
        self._http = httptools.HttpResponseParser(self)
        self.begin()

    def begin(self) -> None:
        """Expect the reply to a new request on the same connection."""
        self._reply: Reply | None = None
        self._surplus = False
        self._headers_complete = False
        self.received = 0

    def feed(self, data: bytes) -> Reply | None:
        """Take the next bytes; return the reply if they complete it. Raises `BrokenReply`."""
        self.received += len(data)
        try:
            self._http.feed_data(data)
        except httptools.HttpParserError as error:
            raise BrokenReply(f"the reply is not HTTP: {error}") from None
        if self._surplus:
            raise BrokenReply(SURPLUS)
        if self.received > self._max_bytes:
            raise too_long(self._max_bytes)
        return self._reply

    def end(self) -> Reply:
        """Return the reply that the server ended by closing. Raises `BrokenReply`.

        RFC 9112, section 6.3: a reply with neither a length nor chunks ends with the connection.
        """
        if not self.received:
            raise BrokenReply(CLOSED_AT_ONCE)
        if not self._headers_complete:
            raise BrokenReply(CLOSED_IN_HEADERS)
        if self._framed:
            raise BrokenReply(CLOSED_IN_BODY)
        return Reply(self._http.get_status_code(), b"".join(self._chunks), keep_alive=False)

    # What follows is called by httptools.

    def on_message_begin(self) -> None:  # noqa: D102
        self._surplus = self._reply is not None
        self._framed = False
        self._headers_complete = False
        self._chunks: list[bytes] = []

    def on_header(self, name: bytes, value: bytes) -> None:  # noqa: D102
        if name.lower() in FRAMING:
            self._framed = True

    def on_headers_complete(self) -> None:  # noqa: D102
        self._headers_complete = True

    def on_body(self, body: bytes) -> None:  # noqa: D102
        self._chunks.append(body)

    def on_message_complete(self) -> None:  # noqa: D102
        status = self._http.get_status_code()
        # RFC 9110, section 15.2: a 1xx reply announces the real one.
        if status >= 200:
            # The parser forgets whether to keep alive as soon as this call is over.
            self._reply = Reply(status, b"".join(self._chunks), self._http.should_keep_alive())
