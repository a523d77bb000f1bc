"""A host that a user has named, as the address that is connected to."""

from __future__ import annotations

import socket
from typing import Final

from harness.errors import IsobenchError

LARGEST_PORT: Final = 65535


def resolve(host: str) -> str:
    """Return the IPv4 address of a host. Raises IsobenchError where it has none."""
    try:
        return socket.gethostbyname(host)
    # What is no name at all, such as one with an empty label, does not get as far as the resolver.
    except (OSError, UnicodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is no host name"
        raise IsobenchError(
            f"the host {host} is unknown: {reason}", hint="give its IPv4 address"
        ) from error
