"""The address of each tenant: it follows from the owner's uid. Pure.

127.64.0.0/10, of which each uid below 2**22 has one. All of 127.0.0.0/8 is this host's, without any
configuration (RFC 1122, section 3.2.1.3). Clients find it by the same rule
(`workloads/addresses.py`).
"""

from __future__ import annotations

TYPE_CHECKING = False  # what mypy believes to be true, as that of `typing`
if TYPE_CHECKING:
    from typing import Final

UIDS: Final = 2**22
_FIRST: Final = 127 << 24 | 64 << 16


def address_of(uid: int) -> str:
    """Return the address of the tenant with this uid, which is below `UIDS`."""
    number = _FIRST + uid
    return ".".join(str(number >> shift & 255) for shift in (24, 16, 8, 0))
