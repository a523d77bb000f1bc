"""A server that serves one request at a time, each in the same time: an M/D/1 queue, simulated."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.slo.account import account, judge
from harness.slo.promise import Promise
from harness.slo.search import Found, Look, Search

Times = NDArray[np.float64]
WARMUP_S = 0.25
CONNECTIONS = 64


@dataclass
class Queue:
    """A server that needs `service_s` a request on a host whose speed differs by `noise`.

    Every so many loads, by chance, the host stalls once, for 0.1 s.
    """

    service_s: float
    chance: np.random.Generator
    noise: float = 0.03
    stalls: float = 0.0

    def rows(self, rate: float, seconds: float) -> Times:
        """Return an open load's rows: completion, service time (us) and intended time."""
        intended = np.cumsum(self.chance.exponential(1 / rate, round(rate * seconds) + 1))
        service = np.full(len(intended), self.service_s * np.exp(self.chance.normal(0, self.noise)))
        if self.chance.random() < self.stalls:
            service[len(service) // 2] += 0.1
        # Lindley: the work that is left before each request, never below zero.
        work = np.cumsum(service[:-1] - np.diff(intended), dtype=float)
        waits = np.concatenate([[0.0], work - np.minimum.accumulate(np.minimum(work, 0.0))])
        took = waits + service
        return np.column_stack([intended + took, took * 1e6, intended])

    def look(self, promise: Promise, rate: float, seconds: float) -> tuple[float, Look]:
        """Put a load on and judge it, as a bench does; return what it offered, and what it said."""
        rows = self.rows(rate, WARMUP_S + seconds)
        load = account(rows, done(WARMUP_S, rows[-1, 2]), CONNECTIONS)
        return len(load.response_us) / (rows[-1, 2] - WARMUP_S), judge(promise, load)[0]

    def threshold(self, promise: Promise) -> float:
        """Return the highest rate that keeps a promise for long, by bisection."""
        low, high = 0.0, 1 / self.service_s
        calm = Queue(self.service_s, self.chance, noise=0.0)
        for _ in range(10):
            rate = (low + high) / 2
            times = calm.rows(rate, 150_000 / rate)[:, 1]
            low, high = (rate, high) if promise.judge(times, 0.0).is_kept else (low, rate)
        return (low + high) / 2


def done(begin: float, end: float, **more: Any) -> dict[str, Any]:
    """Return what a generator that has it easy says of a load without errors."""
    return {
        "window": (begin, end),
        "errors": 0,
        "unanswered": 0,
        "evidence": None,
        "generator_cpu_s": 0.1 * (end - begin),
        "generator_waited_s": 0.0,
    } | more


def searched(queue: Queue, promise: Promise, seconds: float = 1.0) -> Found:
    """Search as a bench does, beginning with a capacity that is known to within the noise."""
    search = Search(np.exp(queue.chance.normal(0, queue.noise)) / queue.service_s)
    while (rate := search.next_rate()) is not None:
        search = search.after(*queue.look(promise, rate, seconds))
    return search.found()
