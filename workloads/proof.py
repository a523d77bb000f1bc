r"""The first line of every script's body: whose script ran, and with which identity.

    isobench tenant=t0001 uid=47001 gid=47001 groups=33,47001\n

The uid and gid are the effective ones, the groups the supplementary ones in ascending order.
"""

import re
from dataclasses import dataclass

_LINE = re.compile(rb"isobench tenant=(\S+) uid=(\d+) gid=(\d+) groups=((?:\d+(?:,\d+)*)?)\n")


@dataclass(frozen=True)
class Identity:
    """A Unix identity: effective uid, effective gid, supplementary groups in ascending order."""

    uid: int
    gid: int
    groups: tuple[int, ...] = ()


@dataclass(frozen=True)
class Proof:
    """What a proof line says: this tenant's script ran with this identity."""

    tenant: str
    identity: Identity


def proof_line(tenant: str, identity: Identity) -> bytes:
    """Return the line, newline included, that the tenant's script prints under this identity."""
    groups = ",".join(map(str, sorted(identity.groups)))
    line = f"isobench tenant={tenant} uid={identity.uid} gid={identity.gid} groups={groups}\n"
    return line.encode("ascii")


def parse(body: bytes) -> Proof | None:
    """Return what the first line of a body proves, or None if it proves nothing."""
    found = _LINE.match(body)
    if found is None:
        return None
    tenant, uid, gid, groups = found.groups()
    identity = Identity(int(uid), int(gid), tuple(map(int, groups.split(b","))) if groups else ())
    return Proof(tenant.decode("ascii", "backslashreplace"), identity)


def explain_difference(expected: Proof, seen: Proof | None, server: Identity | None = None) -> str:
    """Say in plain words how a proof differs from the expected one; "" if it does not.

    `server` is the server's own identity, if known: running as the server is the one difference
    that deserves its name.
    """
    if seen is None:
        return "the body does not begin with a proof line"
    want, got = expected.identity, seen.identity
    by_server = " (the server)" if server and got.uid == server.uid else ""
    differences = []
    if seen.tenant != expected.tenant:
        differences.append(f"the script of {seen.tenant} answered instead of {expected.tenant}'s")
    if got.uid != want.uid:
        differences.append(f"ran as uid {got.uid}{by_server} instead of {want.uid}")
    if got.gid != want.gid:
        differences.append(f"ran as gid {got.gid} instead of {want.gid}")
    if got.groups != want.groups:
        differences.append(f"ran with {_groups(got)} instead of {_groups(want)}")
    return "; ".join(differences)


def _groups(identity: Identity) -> str:
    if not identity.groups:
        return "no supplementary groups"
    return "supplementary groups " + ",".join(map(str, identity.groups))
