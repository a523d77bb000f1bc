"""The address of each tenant, for servers at which every tenant has one of its own.

It follows from the owner's uid, so that nobody has to be told: 127.64.0.0/10, of which each uid
below 2**22 has one. All of 127.0.0.0/8 is this host's, without any configuration (RFC 1122, section
3.2.1.3). `servers.modes.address` has it the same.
"""

from workloads.errors import WorkloadError

NETWORK = "127.64.0.0/10"

_FIRST = 127 << 24 | 64 << 16
_UIDS = 2**22


def address_of(uid: int) -> str:
    """Return a tenant's own address. Raises `WorkloadError` for a uid that has none."""
    if not 0 <= uid < _UIDS:
        raise WorkloadError(
            f"the uid {uid} has no loopback address of its own",
            hint=f"use uids below {_UIDS} for tenants with addresses of their own",
        )
    number = _FIRST + uid
    return ".".join(str(number >> shift & 255) for shift in (24, 16, 8, 0))
