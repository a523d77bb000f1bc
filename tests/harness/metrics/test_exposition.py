"""What a scrape says, made of counts."""

import numpy as np
import pytest

pytest.importorskip("prometheus_client", reason="the extra metrics is not installed")

from prometheus_client import CollectorRegistry, generate_latest

from harness.metrics.exposition import Exposition, Source
from harness.metrics.listening import Queue
from servers.front.shared_memory import tally

SITES = ["t0001", "t0002", "t0003"]
LAYOUT = tally.layout(SITES)


def scrape(
    cells: list[list[int]], head: dict[str, int], queues: list[Queue], seats: int = 20
) -> list[str]:
    source = Source(lambda: head, lambda: np.array(cells, dtype=np.int64), lambda: queues)
    registry = CollectorRegistry()
    registry.register(Exposition(source, LAYOUT, "dso", "1.0", seats))
    return generate_latest(registry).decode().splitlines()


def cell(ok: int = 0, failed: int = 0, bucket: int = 0) -> list[int]:
    """Return a cell of requests of 1 ms each, all in one bucket."""
    count = ok + failed
    return [ok, 0, 0, failed, count * 1_000_000, *(count * (b == bucket) for b in range(21))]


def test_requests_latencies_workers_and_queues_are_exported() -> None:
    cells = [cell(ok=3, failed=1, bucket=4), cell(), cell(), cell()]
    lines = scrape(cells, {"workers_busy": 2, "workers_replaced": 5}, [Queue("127.0.0.1", 7, 1024)])
    for line in (
        'isobench_requests_total{code="2xx",mode="dso",tenant="t0001"} 3.0',
        'isobench_requests_total{code="5xx",mode="dso",tenant="t0001"} 1.0',
        'isobench_requests_total{code="4xx",mode="dso",tenant="(none)"} 0.0',
        'isobench_request_duration_seconds_count{mode="dso",tenant="t0001"} 4.0',
        'isobench_request_duration_seconds_sum{mode="dso",tenant="t0001"} 0.004',
        'isobench_request_duration_seconds_bucket{le="0.001048576",mode="dso",tenant="t0001"} 4.0',
        'isobench_request_duration_seconds_bucket{le="0.000524288",mode="dso",tenant="t0001"} 0.0',
        'isobench_workers_busy{mode="dso"} 2.0',
        'isobench_workers_replaced_total{mode="dso"} 5.0',
        'isobench_queue_connections{mode="dso"} 7.0',
        'isobench_queue_limit{mode="dso"} 1024.0',
        'isobench_server_info{mode="dso",version="1.0"} 1.0',
        'isobench_tenants{mode="dso"} 3.0',
    ):
        assert line in lines


def test_what_a_mode_does_not_have_is_not_exported() -> None:
    lines = scrape([cell()] * 4, {}, [])
    assert not any("isobench_tenant_workers" in line for line in lines)
    assert not any("isobench_queue_limit" in line for line in lines)


def test_tenants_beyond_the_seats_are_exported_together() -> None:
    cells = [cell(ok=1), cell(ok=9), cell(ok=2), cell()]
    lines = scrape(cells, {}, [], seats=1)
    tenants = {
        line.partition('tenant="')[2].partition('"')[0] for line in lines if "tenant=" in line
    }
    assert tenants == {"t0002", "(other)", "(none)"}
    assert 'isobench_requests_total{code="2xx",mode="dso",tenant="(other)"} 3.0' in lines
