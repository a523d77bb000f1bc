"""Responses out: what is sent of a `Response`, and the server's own answers."""

from __future__ import annotations

import time

from servers.http.messages import Response
from servers.http.reasons import REASONS
from servers.http.request_line import PARSED_METHODS
from servers.remembered import Remembered

TYPE_CHECKING = False  # what mypy believes to be true, as that of `typing`
if TYPE_CHECKING:
    from typing import Final

    from servers.http.messages import Headers

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


def plain_response(status: int, text: str) -> Response:
    """Return the server's own answer, as plain text."""
    return Response(
        status, ((b"Content-Type", b"text/plain; charset=utf-8"),), f"{text}\n".encode()
    )


def options_response() -> Response:
    """Return the answer to `OPTIONS *`, which is for the server (RFC 9110, section 9.3.7)."""
    return Response(200, ((b"Allow", b", ".join(sorted(PARSED_METHODS))),), b"")


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
