"""Where a request ends, for whom it is, and whether the connection stays: nothing else. Pure.

The front answers these questions by itself, and its answers alone count: what it passes on is one
request, whatever a tenant's worker makes of it. `frame` answers them for the plain case, a whole
GET or HEAD without a body and without anything that two readers could take for two things. For
all else it gives up, and the server's own parser takes over (`servers.http.RequestParser`), whose
request is then written anew, in the one form that has one meaning (`canonical`).

Rule: where `frame` has an answer, the server's parser has the same one, or refuses the request.

The front in C has judged every byte of a head when it passes it on. So its workers need no parser,
and cut it at its separators (`taken_apart`).
"""

from __future__ import annotations

from servers.http import Request
from servers.http.authority import is_authority
from servers.http.chunked import TEXT
from servers.remembered import Remembered
from servers.typed import NamedTuple

TYPE_CHECKING = False  # what mypy believes to be true, as that of `typing`
if TYPE_CHECKING:
    from typing import Final

_END: Final = b"\r\n\r\n"
_HEAD_BYTES: Final = TEXT + b"\r\n"
_GET: Final = b"GET /"
_HEAD: Final = b"HEAD /"
_ONE_ONE: Final = b"HTTP/1.1"
_VERSION: Final = b" " + _ONE_ONE
_HOST: Final = b"\r\nhost:"
_CONNECTION: Final = b"\r\nconnection:"
_KEEPS: Final = {b"keep-alive": True, b"close": False}
# The beginnings of names, since "Content-Length : 5" must not pass for a head without a body.
_NOT_PLAIN: Final = (b"\r\ncontent-length", b"\r\ntransfer-encoding", b"\r\nexpect")
_FOLDED: Final = (b"\r\n ", b"\r\n\t")
# What a canonical request says in its own words.
_BODY_FIELDS: Final = frozenset([b"content-length", b"transfer-encoding"])

_is_authority: Final = Remembered(is_authority)


class Frame(NamedTuple):
    """A request at the beginning of some bytes: its `end`, and what the front needs to know."""

    end: int
    host: bytes
    keep_alive: bool
    head_only: bool


def frame(data: bytes, longest: int) -> Frame | None:
    """Return the request that `data` begins with, None where that is not a plain one.

    `longest` is the most bytes that a head may have.
    """
    end = data.find(_END)
    if end < 0 or end + 4 > longest or (data[:5] != _GET and data[:6] != _HEAD):
        return None
    head = data[: end + 2]
    lines = head.count(b"\r\n")
    if (
        head.count(b"\n") != lines
        or head.count(b"\r") != lines
        or head.translate(None, _HEAD_BYTES)
    ):
        return None
    first = head.find(b"\r\n")
    if head[first - 9 : first] != _VERSION:
        return None
    lowered = head.lower()
    for name in _NOT_PLAIN:
        if name in lowered:
            return None
    if _FOLDED[0] in head or _FOLDED[1] in head:
        return None
    host = _only(lowered, head, _HOST)
    if not host or not _is_authority[host]:
        return None
    connection = b"keep-alive"
    if _CONNECTION in lowered:
        connection = _only(lowered, lowered, _CONNECTION)
        if connection not in _KEEPS:
            return None
    return Frame(end + 4, host, _KEEPS[connection], data[:1] == b"H")


def _only(lowered: bytes, head: bytes, name: bytes) -> bytes:
    """Return the value of the one field of this name; nothing where there are more, or none."""
    place = lowered.find(name)
    start = place + len(name)
    if place < 0 or lowered.find(name, start) >= 0:
        return b""
    return head[start : head.find(b"\r\n", start)].strip(b" \t")


def taken_apart(content: bytes) -> Request:
    """Return the request that a front which has judged all of it passes on: see `request.h`.

    Whether the connection stays is that front's to know; here it does. Raises ValueError for what
    is no request.
    """
    head, _, body = content.partition(_END)
    first, *lines = head.split(b"\r\n")
    request = Request()
    request.method, request.target, version = first.split(b" ")
    request.version = "1.1" if version == _ONE_ONE else "1.0"
    request.host = b""
    request.headers = headers = []
    for line in lines:
        name, _, value = line.partition(b":")
        value = value.strip(b" \t")
        headers.append((name, value))
        if len(name) == len(b"host") and name.lower() == b"host":
            request.host = value
    request.body = body
    request.keep_alive = True
    return request


def canonical(request: Request) -> bytes:
    """Return a request, parsed already, as there is one way to read it.

    Its body is counted instead of in chunks, and trailers and extensions are gone.
    """
    version = request.version.encode()
    lines = [b"%b %b HTTP/%b\r\n" % (request.method, request.target, version)]
    has_body = bool(request.body)
    for name, value in request.headers:
        if name.lower() in _BODY_FIELDS:
            has_body = True
        else:
            lines.append(b"%b: %b\r\n" % (name, value))
    if has_body:
        lines.append(b"Content-Length: %d\r\n" % len(request.body))
    lines.append(b"\r\n")
    lines.append(request.body)
    return b"".join(lines)
