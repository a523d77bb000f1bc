"""What a front and a tenant's worker say to each other: a message each way for a request.

Each is one packet of a Unix socket without a name (SOCK_SEQPACKET), little-endian:

    kind (1 byte), number of the request (4 bytes), and then

======  ============================================================  ==============================
kind    then                                                          content
======  ============================================================  ==============================
``Q``   the client's port, the server's port (2 bytes each), length   the request, head and body, as
        of the client's address (1 byte), the address                 HTTP has it
``A``   a sum (1 byte): 1, the connection may stay; 2, this is the    what a CGI program prints
        worker's last answer
======  ============================================================  ==============================

A content of more than `MOST_INSIDE` bytes is in a file in memory instead, whose descriptor comes
with the packet, and the kind is ``q`` or ``a``. The file is sealed (memfd_create(2)): nobody can
shorten it while it is read, or change it afterwards.

A worker may say whatever it likes, so whoever reads an answer believes nothing of it.
"""

from __future__ import annotations

import fcntl
import os
import struct
import sys

from servers.typed import NamedTuple

TYPE_CHECKING = False  # what mypy believes to be true, as that of `typing`
if TYPE_CHECKING:
    import socket
    from typing import Final
else:  # what it is made of, without `enum` and `selectors`
    import _socket as socket

MOST_INSIDE: Final = 64 * 1024
"""The most bytes of a content that goes in the packet itself."""

_ASKED: Final = struct.Struct("<cIHHB")
_ANSWERED: Final = struct.Struct("<cIB")
_STAYS: Final = 1
_IS_LAST: Final = 2
_LONGEST_PACKET: Final = MOST_INSIDE + 1024
_DESCRIPTOR_BYTES: Final = 4
# Of one: in what CMSG_SPACE adds there is room for a second, which nobody would close (cmsg(3)).
_ROOM: Final = socket.CMSG_LEN(_DESCRIPTOR_BYTES)
_CLOSE_ON_EXEC: Final = 0x40000000  # MSG_CMSG_CLOEXEC (recvmsg(2))
_SEALS: Final = fcntl.F_SEAL_WRITE | fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_SEAL
_NEEDED_SEALS: Final = fcntl.F_SEAL_WRITE | fcntl.F_SEAL_SHRINK


class Malformed(Exception):
    """What came is no message."""


class TooLong(Malformed):
    """The content is longer than its reader allows."""


class Asked(NamedTuple):
    """A request for a worker; `content` is its head and body."""

    number: int
    remote: tuple[str, int]
    port: int
    content: bytes


class Answered(NamedTuple):
    """An answer, not to be trusted; `content` is what a CGI program prints."""

    number: int
    keep_alive: bool
    content: bytes
    last: bool = False
    """Whether the worker serves no more."""


def ask(channel: socket.socket, asked: Asked, flags: int = 0) -> None:
    """Send a request. Raises OSError."""
    number, (address, remote_port), port, content = asked
    is_inside = len(content) <= MOST_INSIDE
    kind = b"Q" if is_inside else b"q"
    head = _ASKED.pack(kind, number, remote_port, port, len(address)) + address.encode()
    if is_inside:
        channel.send(head + content, flags)
    else:
        _send_beside(channel, head, content, flags)


def answer(channel: socket.socket, answered: Answered) -> None:
    """Send an answer. Raises OSError."""
    number, keep_alive, content, last = answered
    # Each call less is a part of memory less that a worker's turn finds in no cache.
    flags = (_STAYS if keep_alive else 0) | (_IS_LAST if last else 0)
    if len(content) <= MOST_INSIDE:
        channel.send(_ANSWERED.pack(b"A", number, flags) + content)
    else:
        _send_beside(channel, _ANSWERED.pack(b"a", number, flags), content, 0)


def take_request(channel: socket.socket) -> Asked | None:
    """Wait for a request; None at the end. In the worker, which trusts the front."""
    message, beside, flags, _ = channel.recvmsg(_LONGEST_PACKET, _ROOM, _CLOSE_ON_EXEC)
    if not message:
        return None
    asked = asked_in(message)
    if not beside:
        return asked
    return asked._replace(content=_content_of(_file_in(beside, flags), sys.maxsize))


def asked_in(message: bytes) -> Asked:
    """Return the request that a packet holds, with what is inside of its content."""
    _, number, remote_port, port, length = _ASKED.unpack_from(message)
    start = _ASKED.size + length
    address = message[_ASKED.size : start].decode()
    return Asked(number, (address, remote_port), port, message[start:])


def flags_of(answered: Answered) -> int:
    """Return the sum that its packet has."""
    return (_STAYS if answered.keep_alive else 0) | (_IS_LAST if answered.last else 0)


def answer_in(number: int, said: bytes) -> Answered:
    """Return the answer to a request that `said` makes, which are a sum and its content."""
    return Answered(number, bool(said[0] & _STAYS), said[1:], bool(said[0] & _IS_LAST))


def take_answer(channel: socket.socket, longest: int) -> Answered | None:
    """Take the answer that is there; None at the end. In the front.

    `longest` is the most bytes that its content may have. Raises Malformed, BlockingIOError where
    there is none, ConnectionResetError where the worker ended without having read the request.
    """
    message, file = _receive(channel, socket.MSG_DONTWAIT)
    if not message:
        return None
    try:
        kind, number, flags = _ANSWERED.unpack_from(message)
    except struct.error:
        kind, number, flags = b"", 0, 0
    keep_alive, last = bool(flags & _STAYS), bool(flags & _IS_LAST)
    if kind == b"A" and file < 0:
        return Answered(number, keep_alive, message[_ANSWERED.size :], last)
    if file < 0:
        raise Malformed
    content = _content_of(file, longest)
    if kind != b"a" or len(message) != _ANSWERED.size:
        raise Malformed
    return Answered(number, keep_alive, content, last)


def _send_beside(channel: socket.socket, head: bytes, content: bytes, flags: int) -> None:
    file = _sealed(content)
    try:
        rights = file.to_bytes(_DESCRIPTOR_BYTES, sys.byteorder)
        channel.sendmsg([head], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, rights)], flags)
    finally:
        os.close(file)


def _receive(channel: socket.socket, flags: int) -> tuple[bytes, int]:
    """Return a packet and the descriptor that came with it, or -1."""
    message, beside, flags, _ = channel.recvmsg(_LONGEST_PACKET, _ROOM, flags | _CLOSE_ON_EXEC)
    return message, _file_in(beside, flags)


def _file_in(beside: list[tuple[int, int, bytes]], flags: int) -> int:
    """Return the descriptor that came with a packet, or -1. Raises Malformed for half a packet."""
    file = -1
    for _, kind, rights in beside:
        if kind == socket.SCM_RIGHTS and len(rights) >= _DESCRIPTOR_BYTES:
            file = int.from_bytes(rights[:_DESCRIPTOR_BYTES], sys.byteorder)
    if flags & socket.MSG_TRUNC:
        if file >= 0:
            os.close(file)
        raise Malformed
    return file


def _sealed(content: bytes) -> int:
    """Return a file in memory that holds `content`, and nothing else ever."""
    file = os.memfd_create("message", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    try:
        rest = memoryview(content)
        while rest:
            rest = rest[os.write(file, rest) :]
        fcntl.fcntl(file, fcntl.F_ADD_SEALS, _SEALS)
    except BaseException:
        os.close(file)
        raise
    return file


def _content_of(file: int, longest: int) -> bytes:
    """Return what a sealed file holds, and close it. Raises Malformed for any other file."""
    try:
        if fcntl.fcntl(file, fcntl.F_GET_SEALS) & _NEEDED_SEALS != _NEEDED_SEALS:
            raise Malformed
        size = os.fstat(file).st_size
        if size > longest:
            raise TooLong
        parts, place = [], 0
        while place < size and (part := os.pread(file, size - place, place)):
            parts.append(part)
            place += len(part)
        return b"".join(parts)
    except OSError:  # EINVAL: a file that cannot be sealed
        raise Malformed from None
    finally:
        os.close(file)
