"""What a tenant's permanent worker costs: its start, and its memory, in a real server.

Strategy: a tenant's first request waits until a worker of its own has been started, walls and all;
the next ones find it there. So the start is the time of the first beyond the median of the next, as
a client has it, one tenant after the other on an idle server. Memory is PSS, each shared page
divided among its sharers, of all workers together, so that it depends on how many there are.
"""

from __future__ import annotations

import socket
import statistics
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from harness.costs.samples import Facts, Missing, Sample, Subject
from harness.host.cgroup import ProcessGroup
from harness.target import probes
from harness.target.server import Server, ServerFailed, Site, check
from harness.target.targets import Target

START: Final = "a tenant's first request, beyond its next"
_NEXT: Final = 3
_PROCESS_NAME: Final = "tenant worker"
_ANSWERED_S: Final = 20.0


def one_round(
    target: Target, site: Site, processes: ProcessGroup, hosts: Sequence[str], number: int
) -> Iterator[Sample | Missing]:
    """Start a server, and have it start a worker for each host."""
    if refusal := check(target, site):
        yield Missing(f"workers of {target.name}", refusal.reason)
        return
    try:
        with Server(target, site, processes, ["--workers", "1"]) as server:
            starts = [_start_us(server, host) for host in hosts]
            workers = [pid for pid in probes.processes_of(server, processes) if _is_worker(pid)]
            memory_mib = probes.memory_mib(workers) / max(1, len(workers))
    except (OSError, ServerFailed) as error:
        yield Missing(f"workers of {target.name}", str(error))
        return
    facts = Facts(memory_mib=memory_mib)
    subject = Subject("worker", target.name, START)
    yield Sample(subject, number, statistics.median(starts), len(starts), facts)


def _start_us(server: Server, host: str) -> float:
    first, *following = (_request_us(server, host) for _ in range(1 + _NEXT))
    return first - statistics.median(following)


def _request_us(server: Server, host: str) -> float:
    """Return how long a request takes, connection included. Raises OSError."""
    request = f"GET /hello.py HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n".encode()
    begun = time.perf_counter()
    with socket.create_connection((server.host, server.port), _ANSWERED_S) as connection:
        connection.sendall(request)
        answer = bytearray()
        while part := connection.recv(4096):
            answer += part
    took = time.perf_counter() - begun
    if not answer.startswith(b"HTTP/1.1 200 "):
        raise OSError(f"it answered {bytes(answer[:40])!r}")
    return took * 1e6


def _is_worker(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/comm").read_text().strip() == _PROCESS_NAME
    except OSError:
        return False  # it has just ended
