r"""One line of an access log, as Apache writes it. Pure.

Strategy. One regular expression reads both `combined` and `vhost_combined` (mod_log_config, and
Debian's apache2.conf):

    %v:%p %h %l %u %t "%r" %>s %O "%{Referer}i" "%{User-Agent}i"

The virtual host may be absent, and so may all that follows the size. A second field that is "-" is
the remote logname (%l) of a line without a virtual host. Within quotes, Apache writes `\"`, `\\`,
`\n` and the like, and `\xhh` for what cannot be printed (ap_escape_logitem in server/util.c).

What identifies a visitor (%h, %l, %u, referer, user agent, query string) leaves no trace here.
"""

import re
from calendar import timegm
from datetime import datetime
from functools import lru_cache
from typing import NamedTuple

_LINE = re.compile(
    rb"(?:(\[[^\]\s]*\]|[^\s:]+)(?::\d*)? (?!- ))?"  # %v:%p
    rb"\S+ \S+ .*?"  # %h %l %u; Apache does not escape spaces within the user
    rb" \[(\d\d/[A-Z][a-z][a-z]/\d{4}:\d\d:\d\d):(\d\d) ([+-]\d{4})\]"
    rb' "([^"\\]*(?:\\.[^"\\]*)*)"'
    rb" (\d{3}|-) (?:\d+|-)(?: .*)?"
)
_TIME = re.compile(rb" \[\d\d/[A-Z][a-z][a-z]/\d{4}:\d\d:\d\d:\d\d [+-]\d{4}\]")
_REQUEST = re.compile(rb'\] "[^"\\]*(?:\\.[^"\\]*)*"')
_ESCAPE = re.compile(rb"\\(?:x([0-9a-fA-F]{2})|(.))", re.DOTALL)
_LETTERS = {b"b": b"\b", b"n": b"\n", b"r": b"\r", b"t": b"\t", b"v": b"\v"}
_VERSION = re.compile(rb" HTTP/\d(?:\.\d)?\Z")
_ORIGIN = re.compile(rb"[A-Za-z][A-Za-z0-9+.-]*://[^/?#]*")
"""Scheme and authority of a target in absolute form (RFC 9112, section 3.2.2)."""

_MONTHS = (b"Jan", b"Feb", b"Mar", b"Apr", b"May", b"Jun", b"Jul", b"Aug", b"Sep", b"Oct", b"Nov",
           b"Dec")  # fmt: skip
_LONGEST_OFFSET_S = 14 * 3600 + 1
_MINUTES_KEPT = 4096

NO_TIME = "no time in brackets, such as [28/Nov/2026:14:00:00 +0000]"
NO_REQUEST = "no request in quotes after the time"
NO_STATUS = "no status and size after the request"
NO_SUCH_TIME = "a time that no clock shows"


class MalformedLine(ValueError):
    """A line that is not one of an access log; its text says why, and quotes nothing of it."""


class Entry(NamedTuple):
    """What is kept of a line.

    `second` counts from 1970 (UTC). `host` is None where the line has none. `path` has no query;
    None where the client sent nothing that asks for a page. `status` is 0 where there was none.
    """

    second: int
    host: bytes | None
    method: bytes
    path: bytes | None
    status: int


def parse(line: bytes) -> Entry:
    """Read a line without its end. Raises `MalformedLine`."""
    match = _LINE.fullmatch(line)
    if match is None:
        raise MalformedLine(_reason(line))
    host, minute, seconds, zone, request, status = match.groups()
    method, path = _asked(request)
    second = _minute(minute, zone) + min(int(seconds), 60)  # 60: a leap second
    return Entry(second, host and host.lower(), method, path, int(status) if status != b"-" else 0)


def _reason(line: bytes) -> str:
    if not _TIME.search(line):
        return NO_TIME
    return NO_STATUS if _REQUEST.search(line) else NO_REQUEST


@lru_cache(_MINUTES_KEPT)
def _minute(text: bytes, zone: bytes) -> int:
    """Return the seconds since 1970 of 28/Nov/2026:14:00. Raises `MalformedLine`."""
    try:
        month = _MONTHS.index(text[3:6]) + 1
        clock = datetime(int(text[7:11]), month, int(text[:2]), int(text[12:14]), int(text[15:17]))
    except ValueError:
        raise MalformedLine(NO_SUCH_TIME) from None
    ahead = int(zone[1:3]) * 3600 + int(zone[3:5]) * 60
    if ahead >= _LONGEST_OFFSET_S:
        raise MalformedLine(NO_SUCH_TIME)
    return timegm(clock.timetuple()) - (ahead if zone[:1] == b"+" else -ahead)


def _asked(request: bytes) -> tuple[bytes, bytes | None]:
    """Return method and path of a request line as it was logged."""
    if b"\\" in request:
        request = unescaped(request)
    method, _, target = _VERSION.sub(b"", request).partition(b" ")
    if match := _ORIGIN.match(target):
        target = target[match.end() :] or b"/"
    path = target.partition(b"?")[0].partition(b"#")[0]
    return method, path if path.startswith(b"/") else None


def unescaped(text: bytes) -> bytes:
    """Return what Apache escaped, as it was sent."""
    return _ESCAPE.sub(_meant, text)


def _meant(match: re.Match[bytes]) -> bytes:
    if match[1]:
        return bytes.fromhex(match[1].decode())
    return _LETTERS.get(match[2], match[2])
