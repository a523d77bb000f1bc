"""Requests in: the bytes of a connection become requests, in order.

httptools parses the fields of a head. What a server owes beyond a parser is here and in
`request_line`, `framing`, `authority` and `chunked`, rule for rule in docs/http.md.
"""

from __future__ import annotations

from servers.http.authority import is_authority
from servers.http.chunked import TEXT, Chunks, Malformed, TooLong, TooMuch
from servers.http.framing import (
    FRAMING,
    Sized,
    check_codings,
    expects_continue,
    keeps_alive,
    length_of,
)
from servers.http.messages import BadRequest, Request
from servers.http.plain import END, plain_request
from servers.http.request_line import (
    IN_TARGETS,
    PARSED_METHODS,
    VERSIONS,
    check_first_line,
    in_origin_form,
    longest_target,
    other_version,
)
from servers.typed import TypingSpared

with TypingSpared():
    import httptools

TYPE_CHECKING = False  # what mypy believes to be true, as that of `typing`
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Final

_MOST_EMPTY_LINES: Final = 10
_HEAD_BYTES: Final = TEXT + b"\r\n"


class RequestParser:
    """Turns the bytes of one connection into requests, in order, pipelined ones included.

    `feed` raises BadRequest; after that the connection is of no more use.
    """

    def __init__(self, head_limit: int, body_limit: int) -> None:
        self._head_limit = head_limit
        self._longest = longest_target(head_limit)
        self._body_limit = body_limit
        self._last = False
        self._start_message()

    def _start_message(self) -> None:
        self._head = b""  # what has come of one that is not whole
        self._empty_lines = 0
        self._request: Request | None = None  # from its first line on
        self._body: Sized | Chunks | None = None
        self._headers: list[tuple[bytes, bytes]] = []
        self.expects_continue = False
        # Whether what is being read must be answered without a body (RFC 9110, section 9.3.2).
        self.head_only = False

    @property
    def mid_message(self) -> bool:
        """Whether a request has begun that is not complete."""
        return bool(self._head) or self._body is not None

    def feed(self, data: bytes) -> Iterator[Request]:
        """Take the next bytes of the connection and yield the requests that they complete.

        Good requests before a bad one are yielded first: they deserve their answers, and without
        them the client would take the refusal for the answer to the first. What comes behind a
        request that is the connection's last is not looked at (RFC 9112, section 9.6).
        """
        if self._request is None and not self._head and not self._last:
            plain = plain_request(data, self._head_limit, self._longest)
            if plain is not None:
                self._last = not plain.keep_alive
                yield plain
                return
        while data and not self._last:
            data = self._take_head(data) if self._body is None else self._take_body(data)
            request = self._request
            if request is None or self._head:
                return  # what the head lacks has not come
            if self._body is None or self._body.complete:
                yield self._complete(request)

    def _complete(self, request: Request) -> Request:
        request.body = b"" if self._body is None else self._body.content()
        self._last = not request.keep_alive
        self._start_message()
        return request

    def _take_head(self, data: bytes) -> bytes:
        """Read a head, as far as it has come; return what lies behind it."""
        scanned = len(self._head)
        head = self._head + data if scanned else data
        if head.startswith(b"\r\n"):
            head = self._without_empty_lines(head)
        end = head.find(END, max(scanned - len(END) + 1, 0)) + len(END)
        if end < len(END):
            self._take_beginning(head)
            return b""
        rest = b""
        if end < len(head):
            head, rest = head[:end], head[end:]
        request = self._request or self._take_first_line(head)
        if len(head) > self._head_limit:
            self._check_bytes(head)
        self._take_fields(request, head)
        self._head = b""
        return rest

    def _take_beginning(self, head: bytes) -> None:
        """Refuse a head that is wrong already, and keep it for what follows."""
        if self._request is None:
            if b"\r\n" in head:
                self._take_first_line(head)
            else:
                self._check_first_line(head.removesuffix(b"\r"))
        self._check_bytes(head)
        self._head = head

    def _without_empty_lines(self, head: bytes) -> bytes:
        """Pass by empty lines before a request (RFC 9112, section 2.2), not without end."""
        while head.startswith(b"\r\n"):
            self._empty_lines += 1
            if self._empty_lines > _MOST_EMPTY_LINES:
                raise BadRequest(400, "too many empty lines before the request")
            head = head[2:]
        return head

    def _take_first_line(self, head: bytes) -> Request:
        line = head[: head.find(b"\r\n")]
        parts = line.split(b" ")
        version = VERSIONS.get(parts[-1])
        is_parsed = parts[0] in PARSED_METHODS
        if version is None or len(parts) != 3 or not is_parsed:
            self._check_first_line(line)
            if len(parts) != 3:
                raise BadRequest(400, "malformed request line")
        method, target, _ = parts
        self.head_only = method == b"HEAD"
        request = Request()
        request.method = method
        request.host = b""
        if (
            target[:1] != b"/"
            or len(target) > self._longest
            or target.translate(None, IN_TARGETS)
            or not is_parsed
        ):
            self._check_first_line(line)
            target = in_origin_form(request, target)
        request.target = target
        request.version = version or other_version(parts[-1])
        self._request = request
        return request

    def _check_first_line(self, line: bytes) -> None:
        self.head_only = line.startswith(b"HEAD ")
        check_first_line(line, self._longest)

    def _check_bytes(self, head: bytes) -> None:
        """Look for control characters, bare CR and LF (RFC 9112, section 2.2), and at the size."""
        checked = head if len(head) <= self._head_limit else head[: self._head_limit]
        ends = checked.count(b"\r\n")
        returns = checked.count(b"\r") - checked.endswith(b"\r")
        if checked.count(b"\n") != ends or returns != ends or checked.translate(None, _HEAD_BYTES):
            raise BadRequest(400, "malformed request: control characters in its head")
        if checked is not head:
            raise BadRequest(431, "the request's head is too large")

    def _take_fields(self, request: Request, head: bytes) -> None:
        """Parse a whole head, and see what follows it."""
        if request.method not in PARSED_METHODS:
            head = b"POST" + head[len(request.method) :]
        try:
            # A new one for each: the last one may wait for a body, or have seen an upgrade.
            httptools.HttpRequestParser(self).feed_data(head)
        except httptools.HttpParserUpgrade:
            pass  # RFC 9110, section 7.8: a server may ignore an offer
        except httptools.HttpParserError as error:
            raise BadRequest(400, f"malformed request: {error}") from None
        request.headers = headers = self._headers
        framing: dict[bytes, bytes] = {}
        place = -1
        for number, (name, value) in enumerate(headers):
            lowered = name.lower()
            if lowered == b"host":
                if place >= 0:
                    raise BadRequest(400, "more than one Host header")
                place = number
            elif lowered in FRAMING:
                before = framing.get(lowered)
                framing[lowered] = value if before is None else before + b"," + value
        self._settle_host(request, place)
        if framing:
            request.keep_alive = keeps_alive(request.version, framing.get(b"connection"))
            self._look_at_body(request, framing)
        else:
            request.keep_alive = request.version == "1.1"

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take one header from httptools, which leaves spaces at the end of values."""
        self._headers.append((name, value.rstrip(b" \t")))

    def _settle_host(self, request: Request, place: int) -> None:
        """Take the host from the header at `place`, unless the target has one (section 3.2.2)."""
        if place < 0:
            if request.version == "1.1":  # RFC 9112, section 3.2
                raise BadRequest(400, "no Host header")
            if request.host:
                request.headers.append((b"Host", request.host))
            return
        name, value = request.headers[place]
        if not is_authority(value):
            raise BadRequest(400, "malformed Host header")
        if request.host:
            request.headers[place] = name, request.host
        else:
            request.host = value

    def _look_at_body(self, request: Request, framing: dict[bytes, bytes]) -> None:
        """See whether a body follows, and whether the client waits to be asked for it."""
        expected = b"expect" in framing and expects_continue(request, framing[b"expect"])
        length = framing.get(b"content-length")
        if b"transfer-encoding" in framing:
            check_codings(request, framing[b"transfer-encoding"], length)
            self._body = Chunks(self._body_limit, self._head_limit)
        elif length is not None:
            size = length_of(length)
            if size > self._body_limit:
                raise BadRequest(413, "the request's body is too large")
            self._body = Sized(size) if size else None
        self.expects_continue = expected and self._body is not None

    def _take_body(self, data: bytes) -> bytes:
        assert self._body is not None
        self.expects_continue = False  # RFC 9110, section 10.1.1: some of it is here
        try:
            return self._body.feed(data)
        except Malformed as error:
            raise BadRequest(400, f"malformed request: {error}") from None
        except TooMuch:
            raise BadRequest(431, "the chunks' extensions and the trailers are too large") from None
        except TooLong:
            raise BadRequest(413, "the request's body is too large") from None
