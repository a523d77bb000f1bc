"""The figures of trials: rates, latency, CPU time and memory of all targets."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from typing import Self

from harness.results.blocks import histograms
from reports.figures import curves, throughput
from reports.section import Results, Section, Shown


@dataclass(frozen=True, kw_only=True)
class Rates(Section):
    """How many requests per second each target answered."""

    @classmethod
    def read(cls, results: Results) -> Self | None:
        """Gather it; None where no rate is a result."""
        rated = throughput.with_telling_rates(results.common)
        if not (rated["trials"] > 0).any():
            return None
        shown = Shown(
            "throughput",
            "Throughput",
            "The point is the estimate, the line across it its 95% interval; a line without an "
            "end continues.",
            partial(throughput.throughput, rated),
        )
        return cls(figures=[shown])


@dataclass(frozen=True, kw_only=True)
class Expenses(Section):
    """What else trials measure of each target: latency, CPU time, memory."""

    @classmethod
    def read(cls, results: Results) -> Self | None:
        """Gather it; None where no trial counts."""
        if not (results.common["trials"] > 0).any():
            return None
        return cls(figures=list(_figures(results)))


def _figures(results: Results) -> Iterator[Shown]:
    summary = results.common
    merged = histograms(results.trials, results.latency)
    if merged:
        yield Shown(
            "latency",
            "Latency",
            "Each line ends where the number of requests no longer supports a percentile.",
            partial(curves.latency, summary, merged),
        )
    if summary["server_cpu_us_per_request"].notna().any():
        yield Shown(
            "cpu",
            "CPU per request",
            "All processes of the server, those that ended included, divided by the requests "
            "answered. It holds on a noisy machine, and where the generator was the limit.",
            partial(throughput.cpu, summary),
        )
    if summary["memory_mib"].notna().any():
        yield Shown(
            "memory",
            "Memory",
            "Shared pages are counted once (proportional set size), at the end of a trial.",
            partial(throughput.memory, summary),
        )
