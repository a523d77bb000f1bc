"""What a generator sees of the way to the server: round trips and segments sent again.

A round trip is the time that a connection takes to be made, which the server's kernel answers
alone. It goes to a port that carries no load. Segments are those of the whole network namespace
(Documentation/networking/snmp_counter.rst, "TcpRetransSegs").
"""

import socket
from pathlib import Path
from time import monotonic
from typing import NamedTuple

from gevent import monkey

SocketType: type[socket.socket] = monkey.get_original("socket", "socket")
LOOKS = 5
PATIENCE_S = 2.0
NEVER_US = 1e9
"""Stands for a round trip that did not come to an end."""
_SNMP = Path("/proc/self/net/snmp")


class Segments(NamedTuple):
    """TCP segments since the network namespace was made."""

    sent: int
    again: int


def round_trip_us(host: str, port: int) -> float:
    """Return how long a connection takes to be made, in microseconds; NEVER_US where it is not.

    To be called outside of gevent's own thread: it blocks.
    """
    began = monotonic()
    try:
        with SocketType(socket.AF_INET, socket.SOCK_STREAM) as connection:
            connection.settimeout(PATIENCE_S)
            connection.connect((host, port))
            return (monotonic() - began) * 1e6
    except OSError:
        return NEVER_US


def shortest_us(host: str, port: int) -> float:
    """Return the shortest of some round trips; NEVER_US as soon as one does not end."""
    shortest = NEVER_US
    for _ in range(LOOKS):
        taken = round_trip_us(host, port)
        if taken == NEVER_US:
            return NEVER_US
        shortest = min(shortest, taken)
    return shortest


def segments(snmp: Path = _SNMP) -> Segments:
    """Return what the kernel counts of TCP."""
    names, numbers = (
        line.split()[1:] for line in snmp.read_text().splitlines() if line.startswith("Tcp:")
    )
    counted = dict(zip(names, map(int, numbers), strict=True))
    return Segments(counted["OutSegs"], counted["RetransSegs"])
