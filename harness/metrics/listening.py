"""How many connections wait to be accepted, as the kernel counts them (sock_diag(7))."""

from __future__ import annotations

import ipaddress
import socket
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Final, NamedTuple

_SOCK_DIAG_BY_FAMILY: Final = 20  # linux/sock_diag.h
_NETLINK_SOCK_DIAG: Final = 4
_REQUEST_AND_DUMP: Final = 0x301  # NLM_F_REQUEST | NLM_F_DUMP
_DONE: Final = 3  # NLMSG_DONE
_ERROR: Final = 2
_LISTEN: Final = 10  # TCP_LISTEN
_HEADER: Final = struct.Struct("=IHHII")  # struct nlmsghdr
_ASK: Final = struct.Struct("=BBBBI2s46x")  # struct inet_diag_req_v2, of whose socket: the port
_ANSWER: Final = struct.Struct("=4x2s2x4s44xII8x")  # struct inet_diag_msg
_PATIENCE_S: Final = 2.0
_CHUNK: Final = 64 * 1024


class Queue(NamedTuple):
    """One listening socket: its IPv4 address, who waits, and how many may (None: not told)."""

    host: str
    waiting: int
    most: int | None


def queues(port: int) -> list[Queue]:
    """Return the sockets that listen at a port, of all addresses. Raises OSError."""
    try:
        return list(_by_netlink(port))
    except OSError:  # a kernel without INET_DIAG
        return list(_by_proc(port))


def _by_netlink(port: int) -> Iterator[Queue]:
    asked = _ASK.pack(
        socket.AF_INET, socket.IPPROTO_TCP, 0, 0, 1 << _LISTEN, port.to_bytes(2, "big")
    )
    header = _HEADER.pack(_HEADER.size + len(asked), _SOCK_DIAG_BY_FAMILY, _REQUEST_AND_DUMP, 1, 0)
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, _NETLINK_SOCK_DIAG) as line:
        line.settimeout(_PATIENCE_S)
        line.send(header + asked)
        while True:
            for kind, content in _messages(line.recv(_CHUNK)):
                if kind == _DONE:
                    return
                if kind == _ERROR:
                    raise OSError("the kernel does not list sockets")
                source, address, waiting, most = _ANSWER.unpack_from(content)
                if int.from_bytes(source, "big") == port:
                    yield Queue(socket.inet_ntoa(address), waiting, most)


def _messages(data: bytes) -> Iterator[tuple[int, bytes]]:
    while len(data) >= _HEADER.size:
        length, kind, *_ = _HEADER.unpack_from(data)
        yield kind, data[_HEADER.size : length]
        data = data[max(length + 3 & ~3, _HEADER.size) :]


def _by_proc(port: int, table: Path = Path("/proc/net/tcp")) -> Iterator[Queue]:
    """Yield the same from proc_net(5), which lists all connections, not only listeners."""
    with open(table) as lines:
        next(lines)
        for line in lines:
            _, local, _, state, sizes, *_ = line.split()
            address, _, number = local.partition(":")
            if int(state, 16) == _LISTEN and int(number, 16) == port:
                host = socket.inet_ntoa(int(address, 16).to_bytes(4, "little"))
                yield Queue(host, int(sizes.partition(":")[2], 16), None)


def of_server(found: list[Queue], host: str, own_addresses: str | None) -> list[Queue]:
    """Return the queues of a server: at its host, and in the network of its tenants' addresses."""
    network = ipaddress.ip_network(own_addresses) if own_addresses else None
    return [
        queue
        for queue in found
        if queue.host == host or (network and ipaddress.ip_address(queue.host) in network)
    ]
