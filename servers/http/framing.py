"""What a head says of its body and of the connection (RFC 9112, sections 6 and 9)."""

from __future__ import annotations

from servers.http.messages import BadRequest

TYPE_CHECKING = False  # what mypy believes to be true, as that of `typing`
if TYPE_CHECKING:
    from typing import Final

    from servers.http.messages import Request

FRAMING: Final = frozenset([b"connection", b"content-length", b"expect", b"transfer-encoding"])
"""The fields that say it, each of which may come several times."""

_DIGITS: Final = b"0123456789"
_MOST_DIGITS_OF_A_LENGTH: Final = 20


class Sized:
    """A body of a known size, in bytes. `feed` until it is `complete`."""

    def __init__(self, size: int) -> None:
        self._missing = size
        self._content: list[bytes] = []

    @property
    def complete(self) -> bool:
        """Whether all of it has come."""
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


def keeps_alive(version: str, options: bytes | None) -> bool:
    """Return whether the connection stays (RFC 9112, section 9.3)."""
    if options is None:
        return version == "1.1"
    named = _members(options)
    return b"close" not in named and (version == "1.1" or b"keep-alive" in named)


def _members(value: bytes) -> list[bytes]:
    """Return the members of a list of tokens, lowered (RFC 9110, section 5.6.1)."""
    return [stripped for one in value.lower().split(b",") if (stripped := one.strip(b" \t"))]


def expects_continue(request: Request, value: bytes) -> bool:
    """Return whether an interim response is awaited. Refuses what else is (RFC 9110, 10.1.1)."""
    if request.version == "1.0":
        return False
    if any(member != b"100-continue" for member in _members(value)):
        raise BadRequest(417, "only 100-continue can be expected of this server")
    return True


def check_codings(request: Request, value: bytes, length: bytes | None) -> None:
    """Refuse what is not just in chunks (RFC 9112, sections 6.1 and 6.3)."""
    codings = _members(value)
    if length is not None or request.version == "1.0":
        raise BadRequest(400, "Transfer-Encoding with a Content-Length, or in HTTP/1.0")
    if codings.count(b"chunked") != 1 or codings[-1] != b"chunked":
        raise BadRequest(400, "the last transfer coding, and only the last, must be chunked")
    if len(codings) > 1:
        raise BadRequest(501, "no transfer coding but chunked is implemented")


def length_of(value: bytes) -> int:
    """Return a Content-Length; httptools has refused several, and most that is no number."""
    if not value or value.strip(_DIGITS) or len(value) > _MOST_DIGITS_OF_A_LENGTH:
        raise BadRequest(400, "malformed Content-Length")
    return int(value)
