"""The short way of most requests: a GET or HEAD with nothing special to it."""

from __future__ import annotations

from servers.http.authority import is_authority
from servers.http.chunked import TEXT, TOKEN
from servers.http.framing import FRAMING
from servers.http.messages import Request
from servers.http.request_line import IN_TARGETS
from servers.remembered import Remembered

TYPE_CHECKING = False  # what mypy believes to be true, as that of `typing`
if TYPE_CHECKING:
    from typing import Final

END: Final = b"\r\n\r\n"
"""Ends a head."""


def plain_request(data: bytes, longest_head: int, longest_target: int) -> Request | None:
    """Return the request that `data` is, if it is nothing but one plain GET or HEAD.

    That is what most requests are. One that is not plain, or not right, is for the parser: where
    this has an answer, the parser has the same.

    Its price is what counts: a worker that finds other processes' memory in the caches pays for
    each function and object that a request meets, not for the bytes.
    """
    if len(data) > longest_head or data[-len(END) :] != END:
        return None
    lines = data.split(b"\r\n")
    if data.translate(None, TEXT) != b"\r\n" * (len(lines) - 1):
        return None
    words = lines[0].split(b" ")
    if len(words) != 3:
        return None
    method, target, version = words
    if (
        version != b"HTTP/1.1"
        or method not in _PLAIN_METHODS
        or target[:1] != b"/"
        or len(target) > longest_target
        or target.translate(None, IN_TARGETS)
    ):
        return None
    host = b""
    keep_alive: bool | None = None
    headers = []
    for line in lines[1:-2]:
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
        if not value:  # be it that there is no colon, or that the head ends here
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
_NOT_PLAIN: Final = FRAMING | {b"upgrade", b"proxy-connection"}
_ORDINARY: Final = b""
_NOT_OF_A_PLAIN_ONE: Final = b"?"
_kinds: Final = Remembered(_kind_of_field)
