"""A request's first line: what a method, a target and a version may be (RFC 9112, section 3)."""

from __future__ import annotations

from servers.http.authority import absolute
from servers.http.chunked import TOKEN
from servers.http.messages import BadRequest

TYPE_CHECKING = False  # what mypy believes to be true, as that of `typing`
if TYPE_CHECKING:
    from typing import Final

    from servers.http.messages import Request

PARSED_METHODS: Final = frozenset(
    [b"DELETE", b"GET", b"HEAD", b"OPTIONS", b"PATCH", b"POST", b"PUT", b"TRACE"]
)
"""Those of RFC 9110, section 9, and RFC 5789.

Scripts answer others as well (RFC 3875, section 4.1.1), which httptools may not know.
"""

IN_TARGETS: Final = bytes({*range(0x21, 0x7F)} - {*b"#"})  # a fragment is never sent
VERSIONS: Final = {b"HTTP/1.1": "1.1", b"HTTP/1.0": "1.0"}

_LONGEST_TARGET: Final = 8 * 1024
_LONGEST_METHOD: Final = 32
_BESIDE_A_TARGET: Final = 64  # in a request line, so that this is never too long by itself
_DIGITS: Final = b"0123456789"
_IN_VERSIONS: Final = b"HTP/.0123456789"
_VERSION_LENGTH: Final = len(b"HTTP/1.1")


def longest_target(head_limit: int) -> int:
    """Return how many bytes a request target may have, where a head may have `head_limit`."""
    return max(min(_LONGEST_TARGET, head_limit - _BESIDE_A_TARGET), 0)


def check_first_line(line: bytes, longest: int) -> None:
    """Look at a request line, or the beginning of one, from left to right. Raises BadRequest.

    `longest` is how many bytes its target may have.
    """
    method, _, rest = line.partition(b" ")
    target, _, version = rest.partition(b" ")
    if method[:_LONGEST_METHOD].strip(TOKEN) or line[:1] == b" ":
        raise BadRequest(400, "malformed request line")
    if len(method) > _LONGEST_METHOD:  # RFC 9112, section 3
        raise BadRequest(501, "the method is too long")
    if target[:longest].translate(None, IN_TARGETS):
        raise BadRequest(400, "malformed request target")
    if len(target) > longest:
        raise BadRequest(414, "the request target is too long")
    if len(version) > _VERSION_LENGTH or version.translate(None, _IN_VERSIONS):
        raise BadRequest(400, "malformed request line")


def in_origin_form(request: Request, target: bytes) -> bytes:
    """Return the target as a path and perhaps a query, or `*` (RFC 9112, section 3.2).

    Of an absolute form the authority becomes the request's host. Raises BadRequest.
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


def other_version(version: bytes) -> str:
    """Refuse a version that is not spoken here."""
    name, _, number = version.partition(b"/")
    if name != b"HTTP" or number[1:2] != b"." or (number[:1] + number[2:]).strip(_DIGITS):
        raise BadRequest(400, "malformed request line")
    if len(version) < _VERSION_LENGTH:
        raise BadRequest(400, "malformed request line")
    raise BadRequest(505, "this server speaks HTTP/1.1 and HTTP/1.0")
