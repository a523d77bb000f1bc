"""A client's credential, which the first packet of its connection carries: found, checked, used up.

The client's kernel puts it into an IP option of the SYN (option number and layout: docs/modes.md,
"suzuki"). The server's kernel keeps that packet for whoever accepts the connection (tcp(7),
TCP_SAVE_SYN), and here it is read.

Rule 1: nothing in the packet is believed before its MAC is found to be right. That covers the
whole credential, both addresses and the server's port, so that a credential copied from the wire
serves nobody at another address, nor at another server.

Rule 2: a credential counts once, and for a few seconds. What was used is remembered for as long as
it would count; where there is no room to remember, it does not count.
"""

from __future__ import annotations

import fcntl
import mmap
import os
import struct
import time

# What hashlib and hmac offer, without OpenSSL, which both of them load and each fork would copy.
from _blake2 import blake2s
from _operator import _compare_digest
from collections.abc import Callable, Collection
from typing import Final, NamedTuple

from servers.kernel.credentials import Identity

# linux/tcp.h
TCP_SAVE_SYN: Final = 27
TCP_SAVED_SYN: Final = 28
LONGEST_SYN: Final = 60 + 60  # an IP header and a TCP header, each with all the options it can hold

KEY_BYTES: Final = 32
LIFETIME_SECONDS: Final = 10
CLOCK_SKEW_SECONDS: Final = 1
"""How far the client's clock may be ahead of ours."""

_END_OF_OPTIONS: Final = 0
_NO_OPERATION: Final = 1
_OPTION: Final = 0x9E  # RFC 4727: for experiments; copied into fragments
_VERSION: Final = 1
_LAYOUT: Final = struct.Struct("!BBBxIIIQ16s")
_MAC_BYTES: Final = 16
_SIGNED_BYTES: Final = _LAYOUT.size - _MAC_BYTES

_SHORTEST_IP_HEADER: Final = 20
_ADDRESSES: Final = slice(12, 20)
_PROTOCOL: Final = 9
_PROTOCOL_TCP: Final = 6


class Refused(PermissionError):
    """The client has no credential that counts; the text says why."""


class Credential(NamedTuple):
    """What a client says of itself, and the bytes that its MAC was made of."""

    uid: int
    gid: int
    issued: int  # seconds since the epoch, by the client's clock
    nonce: int
    mac: bytes
    signed: bytes


def credential_in(syn: bytes) -> Credential:
    """Return the credential in a packet that begins with its IPv4 header. Raises Refused."""
    if len(syn) < _SHORTEST_IP_HEADER or syn[0] >> 4 != 4 or syn[_PROTOCOL] != _PROTOCOL_TCP:
        raise Refused("the kernel kept no IPv4 SYN of the client's connection")
    header = (syn[0] & 0xF) * 4
    destination_port = syn[header + 2 : header + 4]
    if header < _SHORTEST_IP_HEADER or len(destination_port) != 2:
        raise Refused("the client's SYN is malformed")
    option = _option_in(syn[_SHORTEST_IP_HEADER:header])
    if len(option) != _LAYOUT.size:
        raise Refused("the client's credential is malformed")
    _, _, version, uid, gid, issued, nonce, mac = _LAYOUT.unpack(option)
    if version != _VERSION or nonce == 0:
        raise Refused("the client's credential is malformed")
    signed = option[:_SIGNED_BYTES] + syn[_ADDRESSES] + destination_port
    return Credential(uid, gid, issued, nonce, mac, signed)


def _option_in(options: bytes) -> bytes:
    """Return the option that holds the credential (RFC 791, section 3.1). Raises Refused."""
    position = 0
    while position < len(options) and (kind := options[position]) != _END_OF_OPTIONS:
        if kind == _NO_OPERATION:
            position += 1
            continue
        length = options[position + 1] if position + 1 < len(options) else 0
        if length < 2 or position + length > len(options):
            raise Refused("the client's SYN is malformed")
        if kind == _OPTION:
            return options[position : position + length]
        position += length
    raise Refused("the client sent no credential")


class Verifier:
    """Checks credentials, in any worker; to be made in the master, so that all share its memory."""

    def __init__(
        self,
        key: bytes,
        permitted: Collection[tuple[int, int]],
        clock: Callable[[], float] = time.time,
    ) -> None:
        """Accept credentials made with `key` for the pairs of uid and gid that are `permitted`."""
        self._keyed = blake2s(key=key, digest_size=_MAC_BYTES)
        self._permitted = frozenset(permitted)
        self._clock = clock
        self._used = NonceMemory(LIFETIME_SECONDS + CLOCK_SKEW_SECONDS + 1)

    def accept(self, syn: bytes) -> Identity:
        """Return whom the packet speaks for, this one time. Raises Refused."""
        credential = credential_in(syn)
        mac = self._keyed.copy()
        mac.update(credential.signed)
        if not _compare_digest(mac.digest(), credential.mac):
            raise Refused("the client's credential is forged")
        age = self._clock() - credential.issued
        if age > LIFETIME_SECONDS:
            raise Refused(f"the client's credential has expired: it is {age:.0f} seconds old")
        if age < -CLOCK_SKEW_SECONDS:
            raise Refused(f"the client's clock is {-age:.0f} seconds ahead of the server's")
        if (credential.uid, credential.gid) not in self._permitted:
            raise Refused(
                f"the client, uid {credential.uid} and gid {credential.gid}, is unknown here"
            )
        self._used.add(credential.issued, credential.nonce)
        return Identity(credential.uid, credential.gid)


class NonceMemory:
    """The nonces that were used lately, in memory that all workers share.

    Each second of issue has a table of its own (open addressing, no deletion), which is emptied as
    a whole when a later second takes its place: there is never one nonce to remove.

    A worker that ends in the middle of a change, however it ends, leaves neither a lock, since the
    kernel releases record locks (fcntl(2)), nor a table that another would misread.
    """

    _SECOND, _COUNT, _FIRST = range(3)

    def __init__(self, seconds: int, slots: int = 1 << 16) -> None:
        """Make room for that many seconds; `slots`, a power of two, is the size of each table."""
        self._mask = slots - 1
        self._most = slots * 3 // 4  # where a search is still short
        size = 8 * (self._FIRST + slots)
        self._lock = os.memfd_create("nonces", os.MFD_CLOEXEC)
        os.ftruncate(self._lock, seconds * size)
        values = memoryview(mmap.mmap(self._lock, seconds * size))
        self._tables = [values[n * size : (n + 1) * size].cast("Q") for n in range(seconds)]
        self._empty = memoryview(bytes(size)).cast("Q")

    def add(self, second: int, nonce: int) -> None:
        """Remember a nonce, other than 0, that was issued in `second`.

        Raises Refused where it is known already, or cannot be remembered.
        """
        number = second % len(self._tables)
        fcntl.lockf(self._lock, fcntl.LOCK_EX, 1, number)
        try:
            self._add(self._tables[number], second, nonce)
        finally:
            fcntl.lockf(self._lock, fcntl.LOCK_UN, 1, number)

    def _add(self, table: memoryview[int], second: int, nonce: int) -> None:
        if table[self._SECOND] > second:  # the table is a later one's by now
            raise Refused("the client's credential has expired")
        if table[self._SECOND] < second:
            table[:] = self._empty
            table[self._SECOND] = second
        slot = nonce & self._mask
        while known := table[self._FIRST + slot]:
            if known == nonce:
                raise Refused("the client's credential was used before")
            slot = (slot + 1) & self._mask
        if table[self._COUNT] >= self._most:
            raise Refused("there is no room to remember the client's credential")
        table[self._FIRST + slot] = nonce
        table[self._COUNT] += 1
