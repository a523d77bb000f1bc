"""A body in chunks, of a request (RFC 9112, section 7.1). Bytes in, bytes out; no sockets.

What is neither size nor content, extensions and trailers, is read and thrown away, and bounded
together: it could else go on for ever.
"""

from __future__ import annotations

TYPE_CHECKING = False  # what mypy believes to be true, as that of `typing`
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Final

_HEXADECIMAL: Final = b"0123456789abcdefABCDEF"
_MOST_DIGITS: Final = 16
_LINE_END: Final = b"\r\n"
TEXT: Final = b"\t" + bytes({*range(0x20, 0x100)} - {0x7F})
"""What a line may consist of (RFC 9110, section 5.5)."""
TOKEN: Final = (  # RFC 9110, section 5.6.2
    b"!#$%&'*+-.^_`|~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
)


class Malformed(Exception):
    """No body in chunks."""


class TooMuch(Exception):
    """More extensions and trailers than are read."""


class TooLong(Exception):
    """More content than is read."""


class Chunks:
    """A body that arrives in chunks. `feed` until it is `complete`."""

    def __init__(self, most: int, most_beside: int) -> None:
        """`most` is for the content, `most_beside` for all extensions and trailers, in bytes."""
        self.complete = False
        self._left = most
        self._left_beside = most_beside
        self._content: list[bytes] = []
        self._in_chunk = 0  # bytes of the present chunk's content that have not come
        self._held = b""  # the beginning of a line
        self._step: Callable[[Chunks, bytes, bool], None] = Chunks._size_line

    def content(self) -> bytes:
        """Return what has come."""
        return b"".join(self._content)

    def feed(self, data: bytes) -> bytes:
        """Take `data` and return what of it lies behind the body.

        Raises Malformed, TooMuch, TooLong.
        """
        while data and not self.complete:
            data = self._take(data) if self._in_chunk else self._lines(data)
        return data

    def _take(self, data: bytes) -> bytes:
        piece = data[: self._in_chunk]
        self._content.append(piece)
        self._in_chunk -= len(piece)
        return data[len(piece) :]

    def _lines(self, data: bytes) -> bytes:
        """Take lines up to the next content, or to the end of `data`."""
        data, self._held = self._held + data, b""
        place = 0
        while not (self._in_chunk or self.complete):
            end = data.find(_LINE_END, place)
            if end < 0:
                line = data[place:]
                self._step(self, line.removesuffix(b"\r"), False)
                self._held = line
                return b""
            self._step(self, data[place:end], True)
            place = end + len(_LINE_END)
        return data[place:]

    # Each takes a line, or the beginning of one. What is wrong with a beginning is wrong with any
    # line that begins so, or the outcome would depend on how the bytes arrive.

    def _size_line(self, line: bytes, whole: bool) -> None:
        number, semicolon, _ = line.partition(b";")
        digits = number.rstrip(b" \t")
        if digits.strip(_HEXADECIMAL) or len(digits) > _MOST_DIGITS:
            raise Malformed("malformed chunk size")
        self._pass_by(line[len(digits) :], whole)
        if whole:
            if not digits or (number != digits and not semicolon):
                raise Malformed("malformed chunk size")
            size = int(digits, 16)
            self._left -= size
            if self._left < 0:
                raise TooLong
            self._in_chunk = size
            self._step = Chunks._content_end if size else Chunks._trailer

    def _content_end(self, line: bytes, whole: bool) -> None:
        if line:
            raise Malformed("a chunk longer than its size")
        if whole:
            self._step = Chunks._size_line

    def _trailer(self, line: bytes, whole: bool) -> None:
        """Look at a trailer's form. It is not merged into the head (RFC 9112, section 7.1.2)."""
        name, colon, _ = line.partition(b":")
        if name[: self._left_beside].strip(TOKEN) or (line and (not name or (whole and not colon))):
            raise Malformed("no trailer")
        self._pass_by(line, whole)
        self.complete = whole and not line

    def _pass_by(self, text: bytes, whole: bool) -> None:
        """Count what is thrown away, a line's end included where there is a text."""
        if text[: self._left_beside].translate(None, TEXT):
            raise Malformed("control characters")
        if len(text) > self._left_beside:
            raise TooMuch
        if whole:
            self._left_beside -= len(text)
