"""What a Host header and a request target may say (RFC 3986; RFC 9112, section 3.2). Pure."""

from __future__ import annotations

import _socket

from servers.remembered import Remembered

TYPE_CHECKING = False  # what mypy believes to be true, as that of `typing`
if TYPE_CHECKING:
    from typing import Final

_UNRESERVED: Final = b"-._~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_DELIMITERS: Final = b"!$&'()*+,;="
_DIGITS: Final = b"0123456789"
_HEXADECIMAL: Final = b"0123456789abcdefABCDEF"
_LARGEST_PORT: Final = 65535
_LONGEST_REMEMBERED: Final = 255  # no name is longer (RFC 1035, section 2.3.4)


def is_authority(value: bytes) -> bool:
    """Return whether `value` is a host and perhaps a port, as a Host header has them.

    The host may be empty, the port as well, and there is no user (RFC 9110, sections 4.2.4, 7.2).
    """
    return _known[value] if len(value) <= _LONGEST_REMEMBERED else _is_authority(value)


def _is_authority(value: bytes) -> bool:
    if value.startswith(b"["):
        literal, bracket, port = value[1:].partition(b"]")
        if not bracket or (port and not port.startswith(b":")):
            return False
        return _is_literal(literal) and _is_port(port[1:])
    host, _, port = value.partition(b":")
    return _is_name(host) and _is_port(port)


_known: Final = Remembered(_is_authority)


def _is_name(host: bytes) -> bool:
    """Return whether `host` is a reg-name (RFC 3986, section 3.2.2), as IPv4 addresses are."""
    first, *encoded = host.split(b"%")
    plain = b"".join((first, *(part[2:] for part in encoded)))
    codes = (part[:2] for part in encoded)
    return not plain.strip(_UNRESERVED + _DELIMITERS) and all(
        len(code) == 2 and not code.strip(_HEXADECIMAL) for code in codes
    )


def _is_literal(literal: bytes) -> bool:
    """Return whether this is what may stand in brackets: an IPv6 address or one to come."""
    if literal[:1] in (b"v", b"V"):
        version, dot, address = literal[1:].partition(b".")
        return bool(
            version
            and not version.strip(_HEXADECIMAL)
            and dot
            and address
            and not address.strip(_UNRESERVED + _DELIMITERS + b":")
        )
    if literal.strip(_HEXADECIMAL + b":."):
        return False
    try:
        _socket.inet_pton(_socket.AF_INET6, literal.decode())
    except OSError:
        return False
    return True


def _is_port(port: bytes) -> bool:
    if port.strip(_DIGITS):
        return False
    significant = port.lstrip(b"0")
    return len(significant) <= 5 and int(significant or b"0") <= _LARGEST_PORT


def absolute(target: bytes) -> tuple[bytes, bytes, bytes]:
    """Return scheme, authority and the rest of a target in absolute form (RFC 9112, section 3.2.2).

    The rest begins with "/" or "?", or is empty. Raises ValueError where the target is none, or
    names no host (RFC 9110, section 4.2.1).
    """
    scheme, separator, rest = target.partition(b"://")
    ends = [place for mark in (b"/", b"?") if (place := rest.find(mark)) >= 0]
    end = min(ends, default=len(rest))
    authority = rest[:end]
    if not separator or authority[:1] in (b"", b":") or not is_authority(authority):
        raise ValueError("neither a path nor the URI of a host")
    return scheme.lower(), authority, rest[end:]
