"""HTTP/1.1 requests in, responses out. Bytes in, values out; no sockets.

httptools parses the fields of a head. What a server owes beyond a parser is here, rule for rule in
docs/http.md: where a head and a body end, what a request line and a Host may say, what is bounded.
Nothing depends on how the bytes are cut into pieces: what is wrong is refused with the same status
when its first wrong byte is there, or as soon as the line or the head is whole.
"""

from __future__ import annotations

import time

from servers.http.authority import absolute, is_authority
from servers.http.chunked import TEXT, TOKEN, Chunks, Malformed, TooLong, TooMuch
from servers.http.reasons import REASONS
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

# RFC 9112, section 9.6, and RFC 3875, section 6.3: what concerns the connection is the server's to
# say, and the length is counted here.
_SERVER_HEADERS: Final = frozenset(
    [
        b"connection",
        b"content-length",
        b"date",
        b"keep-alive",
        b"proxy-connection",
        b"trailer",
        b"transfer-encoding",
        b"upgrade",
    ]
)

_LONGEST_TARGET: Final = 8 * 1024
_LONGEST_METHOD: Final = 32
_BESIDE_A_TARGET: Final = 64  # in a request line, so that this is never too long by itself
_MOST_EMPTY_LINES: Final = 10
_END: Final = b"\r\n\r\n"
_HEAD_BYTES: Final = TEXT + b"\r\n"
_IN_TARGETS: Final = bytes({*range(0x21, 0x7F)} - {*b"#"})  # a fragment is never sent
_DIGITS: Final = b"0123456789"
_MOST_DIGITS_OF_A_LENGTH: Final = 20
_IN_VERSIONS: Final = b"HTP/.0123456789"
_VERSION_LENGTH: Final = len(b"HTTP/1.1")
_VERSIONS: Final = {b"HTTP/1.1": "1.1", b"HTTP/1.0": "1.0"}
# RFC 9110, section 9, and RFC 5789. Scripts answer others as well (RFC 3875, section 4.1.1), which
# httptools may not know.
_PARSED_METHODS: Final = frozenset(
    [b"DELETE", b"GET", b"HEAD", b"OPTIONS", b"PATCH", b"POST", b"PUT", b"TRACE"]
)
# What else a server looks at in a head: each may come in several fields.
_FRAMING: Final = frozenset([b"connection", b"content-length", b"expect", b"transfer-encoding"])

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
        self._body: _Sized | Chunks | None = None
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
        end = head.find(_END, max(scanned - len(_END) + 1, 0)) + len(_END)
        if end < len(_END):
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
        version = _VERSIONS.get(parts[-1])
        is_parsed = parts[0] in _PARSED_METHODS
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
            or target.translate(None, _IN_TARGETS)
            or not is_parsed
        ):
            self._check_first_line(line)
            target = self._in_origin_form(request, target)
        request.target = target
        request.version = version or _other_version(parts[-1])
        self._request = request
        return request

    def _check_first_line(self, line: bytes) -> None:
        """Look at a request line, or the beginning of one, from left to right."""
        method, space, rest = line.partition(b" ")
        self.head_only = method == b"HEAD" and space == b" "
        target, _, version = rest.partition(b" ")
        if method[:_LONGEST_METHOD].strip(TOKEN) or line[:1] == b" ":
            raise BadRequest(400, "malformed request line")
        if len(method) > _LONGEST_METHOD:  # RFC 9112, section 3
            raise BadRequest(501, "the method is too long")
        if target[: self._longest].translate(None, _IN_TARGETS):
            raise BadRequest(400, "malformed request target")
        if len(target) > self._longest:
            raise BadRequest(414, "the request target is too long")
        if len(version) > _VERSION_LENGTH or version.translate(None, _IN_VERSIONS):
            raise BadRequest(400, "malformed request line")

    def _in_origin_form(self, request: Request, target: bytes) -> bytes:
        """Return the target as a path and perhaps a query, or `*` (RFC 9112, section 3.2).

        Of an absolute form the authority becomes the request's host.
        """
        if request.method == b"CONNECT":
            raise BadRequest(501, "this server is not a proxy")
        if target[:1] == b"/" or (target == b"*" and request.method == b"OPTIONS"):
            return target
        try:
            scheme, request.host, rest = absolute(target)
        except ValueError as error:
            raise BadRequest(400, f"malformed request target: {error}") from None
        if scheme == b"https":  # RFC 9110, section 7.4
            raise BadRequest(421, "this connection is not secured")
        if scheme != b"http":
            raise BadRequest(400, "the request target has a scheme other than http")
        if not rest and request.method == b"OPTIONS":  # RFC 9112, section 3.2.4
            return b"*"
        return rest if rest[:1] == b"/" else b"/" + rest

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
        if request.method not in _PARSED_METHODS:
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
            elif lowered in _FRAMING:
                before = framing.get(lowered)
                framing[lowered] = value if before is None else before + b"," + value
        self._settle_host(request, place)
        if framing:
            request.keep_alive = _keeps_alive(request.version, framing.get(b"connection"))
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
        expected = b"expect" in framing and _expects_continue(request, framing[b"expect"])
        length = framing.get(b"content-length")
        if b"transfer-encoding" in framing:
            _check_codings(request, framing[b"transfer-encoding"], length)
            self._body = Chunks(self._body_limit, self._head_limit)
        elif length is not None:
            size = _length(length)
            if size > self._body_limit:
                raise BadRequest(413, "the request's body is too large")
            self._body = _Sized(size) if size else None
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


def longest_target(head_limit: int) -> int:
    """Return how many bytes a request target may have, where a head may have `head_limit`."""
    return max(min(_LONGEST_TARGET, head_limit - _BESIDE_A_TARGET), 0)


def plain_request(data: bytes, longest_head: int, longest_target: int) -> Request | None:
    """Return the request that `data` is, if it is nothing but one plain GET or HEAD.

    That is what most requests are. One that is not plain, or not right, is for the parser: where
    this has an answer, the parser has the same.

    Its price is what counts: a worker that finds other processes' memory in the caches pays for
    each function and object that a request meets, not for the bytes.
    """
    end = data.find(_END)
    if end < 0 or end + len(_END) != len(data) or len(data) > longest_head:
        return None
    first, *lines = data[:end].split(b"\r\n")
    ends = len(lines) + 2
    if (
        data.count(b"\n") != ends
        or data.count(b"\r") != ends
        or data.translate(None, _HEAD_BYTES)
        or first[-9:] != b" HTTP/1.1"
    ):
        return None
    method, _, target = first[:-9].partition(b" ")
    if (
        method not in _PLAIN_METHODS
        or target[:1] != b"/"
        or len(target) > longest_target
        or target.translate(None, _IN_TARGETS)
    ):
        return None
    host = b""
    keep_alive: bool | None = None
    headers = []
    for line in lines:
        name, _, value = line.partition(b":")
        kind = _kinds[name]
        value = value.strip(b" \t")
        if kind:
            if kind == b"host" and not host:
                host = value
            elif kind == b"connection" and keep_alive is None:
                keep_alive = _PLAIN_OPTIONS.get(value.lower())
                if keep_alive is None:
                    return None
            else:
                return None
        if not value:  # be it that there is no colon
            return None
        headers.append((name, value))
    if not host or not is_authority(host):
        return None
    request = Request()
    request.method = method
    request.target = target
    request.version = "1.1"
    request.headers = headers
    request.host = host
    request.body = b""
    request.keep_alive = keep_alive is not False
    return request


def _kind_of_field(name: bytes) -> bytes:
    """Return what a plain request may have once, nothing for an ordinary field, or what is not."""
    lowered = name.lower()
    if lowered in (b"host", b"connection"):
        return lowered
    if not name or name.strip(TOKEN) or lowered in _NOT_PLAIN:
        return _NOT_OF_A_PLAIN_ONE
    return _ORDINARY


_PLAIN_METHODS: Final = (b"GET", b"HEAD")
_PLAIN_OPTIONS: Final = {b"close": False, b"keep-alive": True}
_NOT_PLAIN: Final = _FRAMING | {b"upgrade", b"proxy-connection"}
_ORDINARY: Final = b""
_NOT_OF_A_PLAIN_ONE: Final = b"?"
_kinds: Final = Remembered(_kind_of_field)


class _Sized:
    """A body of a known size, in bytes. `feed` until it is `complete`."""

    def __init__(self, size: int) -> None:
        self._missing = size
        self._content: list[bytes] = []

    @property
    def complete(self) -> bool:
        return not self._missing

    def feed(self, data: bytes) -> bytes:
        """Take `data` and return what of it lies behind the body."""
        piece = data[: self._missing]
        self._content.append(piece)
        self._missing -= len(piece)
        return data[len(piece) :]

    def content(self) -> bytes:
        """Return what has come."""
        return b"".join(self._content)


def _other_version(version: bytes) -> str:
    """Refuse a version that is not spoken here."""
    name, _, number = version.partition(b"/")
    if name != b"HTTP" or number[1:2] != b"." or (number[:1] + number[2:]).strip(_DIGITS):
        raise BadRequest(400, "malformed request line")
    if len(version) < _VERSION_LENGTH:
        raise BadRequest(400, "malformed request line")
    raise BadRequest(505, "this server speaks HTTP/1.1 and HTTP/1.0")


def _keeps_alive(version: str, options: bytes | None) -> bool:
    """Return whether the connection stays (RFC 9112, section 9.3)."""
    if options is None:
        return version == "1.1"
    named = _members(options)
    return b"close" not in named and (version == "1.1" or b"keep-alive" in named)


def _members(value: bytes) -> list[bytes]:
    """Return the members of a list of tokens, lowered (RFC 9110, section 5.6.1)."""
    return [stripped for one in value.lower().split(b",") if (stripped := one.strip(b" \t"))]


def _expects_continue(request: Request, value: bytes) -> bool:
    """Return whether an interim response is awaited. Refuses what else is (RFC 9110, 10.1.1)."""
    if request.version == "1.0":
        return False
    if any(member != b"100-continue" for member in _members(value)):
        raise BadRequest(417, "only 100-continue can be expected of this server")
    return True


def _check_codings(request: Request, value: bytes, length: bytes | None) -> None:
    """Refuse what is not just in chunks (RFC 9112, sections 6.1 and 6.3)."""
    codings = _members(value)
    if length is not None or request.version == "1.0":
        raise BadRequest(400, "Transfer-Encoding with a Content-Length, or in HTTP/1.0")
    if codings.count(b"chunked") != 1 or codings[-1] != b"chunked":
        raise BadRequest(400, "the last transfer coding, and only the last, must be chunked")
    if len(codings) > 1:
        raise BadRequest(501, "no transfer coding but chunked is implemented")


def _length(value: bytes) -> int:
    """Return a Content-Length; httptools has refused several, and most that is no number."""
    if not value or value.strip(_DIGITS) or len(value) > _MOST_DIGITS_OF_A_LENGTH:
        raise BadRequest(400, "malformed Content-Length")
    return int(value)


def plain_response(status: int, text: str) -> Response:
    """Return the server's own answer, as plain text."""
    return Response(
        status, ((b"Content-Type", b"text/plain; charset=utf-8"),), f"{text}\n".encode()
    )


def options_response() -> Response:
    """Return the answer to `OPTIONS *`, which is for the server (RFC 9110, section 9.3.7)."""
    return Response(200, ((b"Allow", b", ".join(sorted(_PARSED_METHODS))),), b"")


def render(response: Response, keep_alive: bool, head_only: bool = False) -> bytes:
    """Return the bytes of `response` on the wire."""
    head = _heads[response.status, response.reason, response.headers, keep_alive]
    if response.status in _WITHOUT_CONTENT:
        return head + _date() + _WITHOUT_CONTENT[response.status]
    body = response.body
    if head_only and not body:
        return head + _date() + _length_that_a_script_says(response.headers)
    length = b"Content-Length: %d\r\n\r\n" % len(body)
    if head_only:
        return head + _date() + length
    return b"".join((head, _date(), length, body))


# RFC 9110, sections 8.6, 15.3.6 and 15.4.5.
_WITHOUT_CONTENT: Final = {
    204: b"\r\n",
    205: b"Content-Length: 0\r\n\r\n",
    304: b"\r\n",
}


def has_no_content(status: int) -> bool:
    """Return whether a response of this status has none, whatever a script printed."""
    return status in _WITHOUT_CONTENT


def _length_that_a_script_says(headers: Headers) -> bytes:
    """Return the end of a head without a body: a length other than GET's is worse than none.

    RFC 9110, section 8.6: a script may print its body for GET alone.
    """
    for name, value in headers:
        if name.lower() == b"content-length":
            return b"Content-Length: %b\r\n\r\n" % value
    return b"\r\n"


def _render_head(what: tuple[int, bytes, Headers, bool]) -> bytes:
    status, phrase, headers, keep_alive = what
    reason = phrase or REASONS.get(status, b"Unknown")
    lines = [b"HTTP/1.1 %d %b\r\n" % (status, reason)]
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
