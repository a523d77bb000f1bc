"""What a generator sees of the way to the server."""

from __future__ import annotations

import socket
from pathlib import Path

from workloads.load.several_hosts import link

SNMP = """Ip: Forwarding DefaultTTL
Ip: 1 64
Tcp: RtoAlgorithm InSegs OutSegs RetransSegs
Tcp: 1 900 1000 12
"""


def test_a_round_trip_ends_where_a_port_is_open() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        assert 0 < link.round_trip_us("127.0.0.1", port) < link.NEVER_US
        assert 0 < link.shortest_us("127.0.0.1", port) < link.NEVER_US
    assert link.shortest_us("127.0.0.1", port) == link.NEVER_US


def test_segments_are_those_that_the_kernel_counts(tmp_path: Path) -> None:
    (tmp_path / "snmp").write_text(SNMP)
    assert link.segments(tmp_path / "snmp") == link.Segments(1000, 12)
    before = link.segments()
    test_a_round_trip_ends_where_a_port_is_open()
    assert link.segments().sent > before.sent
