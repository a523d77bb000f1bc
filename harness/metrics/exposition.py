"""What is told at a scrape: families of metrics, made of counts.

The names follow Prometheus's conventions: base units, `_total` for what only grows.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)
from prometheus_client.registry import Collector

from harness.metrics.ledger import Ledger
from harness.metrics.listening import Queue
from harness.metrics.tally import Counts

OTHERS: Final = "(other)"
NOBODY: Final = "(none)"
"""Labels in the place of a tenant's name, which has letters and digits only."""

_OF_THE_SERVER: Final = (
    ("workers", "gauge", "Processes that accept or take over connections."),
    ("workers_busy", "gauge", "Those of them that are handling a request."),
    ("workers_replaced", "counter", "Those that have ended and were started anew."),
    ("tenant_workers", "gauge", "Permanent workers of tenants, those about to start included."),
    ("tenant_workers_busy", "gauge", "Those of them that have a request."),
    ("tenant_worker_starts", "counter", "Starts of permanent workers."),
    ("tenant_worker_evictions", "counter", "Those that were ended to make room for others."),
)


@dataclass(frozen=True)
class Source:
    """Where the numbers come from; all three are looked at once a scrape."""

    head: Callable[[], Mapping[str, int]]
    counts: Callable[[], Counts]
    queues: Callable[[], Sequence[Queue]]


class Exposition(Collector):
    """A collector as prometheus_client asks it, of one server."""

    def __init__(
        self, source: Source, layout: Mapping[str, Any], mode: str, version: str, seats: int
    ) -> None:
        self._source = source
        self._mode = mode
        self._version = version
        self._sites: list[str] = layout["sites"]
        self._classes: list[str] = layout["classes"]
        ends = [end / 1e9 for end in layout["bucket_ends_ns"]]
        self._ends = [*(repr(end) for end in ends), "+Inf"]
        self._ledger = Ledger(len(self._sites), seats, len(self._classes), layout["cell"])
        self._alone = threading.Lock()  # two scrapes may come at the same time

    def describe(self) -> Iterable[Metric]:
        """Tell nothing before the first scrape."""
        return []

    def collect(self) -> Iterator[Metric]:
        """Yield all families."""
        with self._alone:
            self._ledger.look(self._source.counts())
            series = [*self._series()]
            families = [*self._of_tenants(series), *self._of_server(), *self._of_queues()]
        yield from families

    def _series(self) -> Iterator[tuple[str, Counts]]:
        for place in self._ledger.seated:
            yield self._sites[place], self._ledger.of(place)
        if self._ledger.has_others:
            yield OTHERS, self._ledger.others
        yield NOBODY, self._ledger.none

    def _of_tenants(self, series: Iterable[tuple[str, Counts]]) -> Iterator[Metric]:
        requests = CounterMetricFamily(
            "isobench_requests",
            "Requests answered, by tenant and class of status.",
            labels=["mode", "tenant", "code"],
        )
        latency = HistogramMetricFamily(
            "isobench_request_duration_seconds",
            "From the complete request to the sent answer.",
            labels=["mode", "tenant"],
        )
        first = len(self._classes) + 1
        for tenant, counts in series:
            numbers = counts.tolist()
            for code, number in zip(self._classes, numbers, strict=False):
                requests.add_metric([self._mode, tenant, code], number)
            buckets = _cumulated(self._ends, numbers[first:])
            latency.add_metric([self._mode, tenant], buckets, numbers[first - 1] / 1e9)
        yield requests
        yield latency

    def _of_server(self) -> Iterator[Metric]:
        info = GaugeMetricFamily(
            "isobench_server_info", "1, with what serves.", labels=["mode", "version"]
        )
        info.add_metric([self._mode, self._version], 1)
        yield info
        yield self._one(GaugeMetricFamily, "tenants", "Tenants of the server.", len(self._sites))
        head = self._source.head()
        for name, kind, meaning in _OF_THE_SERVER:
            if name in head:
                family = CounterMetricFamily if kind == "counter" else GaugeMetricFamily
                yield self._one(family, name, meaning, head[name])

    def _of_queues(self) -> Iterator[Metric]:
        queues = self._source.queues()
        waiting = sum(queue.waiting for queue in queues)
        yield self._one(
            GaugeMetricFamily, "queue_connections", "Connections that wait to be accepted.", waiting
        )
        if most := max((queue.most or 0 for queue in queues), default=0):
            meaning = "How many may wait at one address before more are dropped."
            yield self._one(GaugeMetricFamily, "queue_limit", meaning, most)

    def _one(
        self,
        family: type[CounterMetricFamily | GaugeMetricFamily],
        name: str,
        meaning: str,
        value: float,
    ) -> Metric:
        made = family(f"isobench_{name}", meaning, labels=["mode"])
        made.add_metric([self._mode], value)
        return made


def _cumulated(ends: Sequence[str], counts: Sequence[int]) -> list[tuple[str, float]]:
    total, buckets = 0, []
    for end, count in zip(ends, counts, strict=True):
        total += count
        buckets.append((end, float(total)))
    return buckets
