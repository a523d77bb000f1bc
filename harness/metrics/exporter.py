"""The exporter: a process that answers Prometheus's scrapes for one server.

    python -m harness.metrics.exporter

Its first line of input is a JSON object, the fields of
`facts.Facts`; it answers with one line of JSON,
`{"ready": true, "port": N}` or `{"ready": false, "reason": ..., "hint": ...}`, and ends when its
input does, or its parent.

It gives up root before it reads a byte from the network, and keeps the server's numbers, mapped for
reading, and the listening socket.
"""

from __future__ import annotations

import json
import os
import socket
import sys
from collections.abc import Sequence
from pathlib import Path

from prometheus_client import CollectorRegistry, generate_latest, start_http_server
from prometheus_client.openmetrics import exposition as openmetrics

from harness.metrics import listening
from harness.metrics.exposition import Exposition, Source
from harness.metrics.facts import Facts
from harness.metrics.listening import Queue
from harness.metrics.tally import TallyReader
from workloads.load.generator import tie_to_parent


def main() -> int:
    """Answer scrapes until the input ends."""
    tie_to_parent()
    facts = Facts(**json.loads(sys.stdin.readline()))
    try:
        port = _answer(facts)
    except OSError as error:
        reason = f"cannot tell metrics at {facts.host}:{facts.port}: {error.strerror}"
        _say(
            ready=False, reason=reason, hint="choose another --metrics port, or 0 for any free one"
        )
        return 2
    _say(ready=True, port=port)
    for _ in sys.stdin:
        pass
    return 0


def _answer(facts: Facts) -> int:
    """Begin to answer; return the port. Raises OSError.

    What is done later is done once before root is given up, to have loaded what it takes: a Python
    in a closed home directory is out of reach then.
    """
    tally = TallyReader(Path(facts.file), facts.layout)
    source = Source(tally.head, tally.counts, lambda: _queues(facts))
    registry = CollectorRegistry()
    registry.register(Exposition(source, facts.layout, facts.mode, facts.version, facts.seats))
    for rendered in (generate_latest, openmetrics.generate_latest):
        rendered(registry)
    socket.getaddrinfo(facts.host, facts.port)
    if facts.identity:
        _become(*facts.identity)
    server, _ = start_http_server(facts.port, facts.host, registry)
    return int(server.server_port)


def _queues(facts: Facts) -> Sequence[Queue]:
    host, port = facts.served_at
    try:
        return listening.of_server(listening.queues(port), host, facts.network)
    except OSError:
        return ()


def _become(uid: int, gid: int) -> None:
    os.setgroups([])
    os.setresgid(gid, gid, gid)
    os.setresuid(uid, uid, uid)
    tie_to_parent()  # which a change of identity undoes (prctl(2))


def _say(**fields: object) -> None:
    sys.stdout.write(json.dumps(fields) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
