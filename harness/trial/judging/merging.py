"""From what several generators saw of a trial to its row. Pure.

Strategy. Each generator measures a window by its own clock, so clocks are never compared: a rate is
the sum of rates, each by its own window. Histograms are added bucket by bucket, which loses nothing
of what each generator counted; quantiles are taken of the sum, and never averaged. What the server
used is counted by its host in a window of its own; a request's CPU time is the server's CPU time a
second divided by the rate.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

import numpy as np

from harness.results.rows import TrialRow
from harness.stats import self_checks
from harness.stats.histogram import Histogram
from harness.target import probes
from harness.trial.judging.usage import usage
from harness.trial.outcome import UNANSWERED, Latencies, Trial, void

Part = Mapping[str, Any]
"""What a generator says of its part: see `worker` and `part` in `workloads.load.several_hosts`."""

SLOWER_TIMES, SLOWER_US = 3.0, 2_000.0
"""A way is slower when a round trip after the window takes so many times as long as before, and so
much longer."""
LOADED_TIMES, LOADED_US = 5.0, 20_000.0
"""The same while it is loaded, when the generator itself is a little late to look."""
LOST: Final = 0.005
"""A way is lossy when more than this share of TCP's segments was sent again."""
_FEWEST_AGAIN = 3


def merged(
    row: TrialRow, parts: Sequence[Part], first: probes.Reading, last: probes.Reading
) -> Trial:
    """Return the trial that several generators have made together.

    `first` and `last` are the readings by the server's host at both ends of the window.
    """
    sums = {name: _sum(parts, name) for name in ("sent", "errors", "requests_total", "verified")}
    row = replace(
        row,
        sent=sums["sent"],
        errors=sums["errors"],
        answered=sums["requests_total"],
        verified=sums["verified"],
    )
    evidence = next((json.dumps(part["evidence"]) for part in parts if part["evidence"]), None)
    if trouble := "; ".join(troubles(parts)):
        return void(row, trouble, evidence or trouble)
    if row.errors:
        reason = json.loads(evidence)["reason"] if evidence else "requests without an answer"
        return void(row, f"{row.errors} wrong answers, first: {reason}", evidence)
    completed = _sum(parts, "completed")
    if not completed:
        return void(row, UNANSWERED, evidence)
    return _counted(row, parts, first, last)


def _counted(
    row: TrialRow, parts: Sequence[Part], first: probes.Reading, last: probes.Reading
) -> Trial:
    per_second = sum(part["completed"] / part["window_s"] for part in parts)
    service = _expanded(parts, "service")
    is_open = "response" in parts[0]
    response = _expanded(parts, "response") if is_open else np.empty(0)
    times = Histogram.merged(_histograms(parts, "response" if is_open else "service"))
    row = replace(
        row,
        verdict="ok",
        measured_s=float(np.mean([part["window_s"] for part in parts])),
        requests=len(service),
        requests_per_second=per_second,
        mean_ms=sum(part["sum_us"] for part in parts) / times.count / 1000,
        p50_ms=times.quantile(0.5) / 1000,
        p90_ms=times.quantile(0.9) / 1000,
        p99_ms=times.quantile(0.99) / 1000,
        max_ms=times.quantile(1.0) / 1000,
        generator_cpu_share=max(part["generator_cpu_s"] / part["window_s"] for part in parts),
        steady="not assessed",
        **usage(first, last, per_second * (last.at - first.at)),
    )
    if is_open:
        row = replace(
            row,
            offered_per_second=sum(part["offered"] / part["window_s"] for part in parts),
            late=_sum(parts, "late"),
            late_worst_ms=max(part["late_worst_ms"] for part in parts),
            dropped=_sum(parts, "dropped"),
        )
    return Trial(row, service, response)


def checked(trial: Trial, parts: Sequence[Part], served: int | None) -> Trial:
    """Return a trial with the result of its self-checks; void where its counts contradict.

    `served` is how many requests the server counted from before the trial until after it.
    """
    if trial.row.verdict != "ok":
        return trial
    again = [part["retries"] for part in parts]
    counts = self_checks.Counts(
        served=served,
        asked_first=_sum(parts, "asked_first"),
        answered=_sum(parts, "requests_total"),
        sent=_sum(parts, "sent"),
        sent_again=None if None in again else sum(again),
        verified=_sum(parts, "verified"),
    )
    if wrong := "; ".join(self_checks.miscounts(counts)):
        return void(trial.row, f"a self-check failed: {wrong}", None)
    return replace(trial, row=replace(trial.row, served=served, self_checks=self_checks.PASSED))


def least_served(parts: Sequence[Part]) -> int:
    """Return how many requests the server must have counted after these parts."""
    return _sum(parts, "asked_first") + _sum(parts, "requests_total")


def troubles(parts: Sequence[Part]) -> Iterator[str]:
    """Describe what was wrong with the ways from the generators to the server."""
    for part in parts:
        for trouble in _troubles(part["link"]):
            way = f"the network between the load generator on {part['host']} and the server"
            yield f"{way} {trouble}"


def _troubles(link: Mapping[str, float]) -> Iterator[str]:
    before, during, after = link["before_us"], link["during_us"], link["after_us"]
    if max(before, after) >= _NEVER_US:
        yield "was cut"
    elif after > max(SLOWER_TIMES * before, before + SLOWER_US):
        yield f"became slow: a round trip took {_ms(before)} before, and {_ms(after)} after"
    elif not math.isnan(during) and during > max(LOADED_TIMES * before, before + LOADED_US):
        yield f"became slow: a round trip took {_ms(before)} before, and {_ms(during)} under load"
    segments, again = link["segments"], link["again"]
    if again > max(_FEWEST_AGAIN, LOST * segments):
        yield f"lost packets: {again} of {segments} TCP segments were sent again"


_NEVER_US = 1e9


def _ms(microseconds: float) -> str:
    return f"{microseconds / 1000:.2f} ms"


def _sum(parts: Sequence[Part], name: str) -> int:
    return int(sum(part[name] for part in parts))


def _histograms(parts: Sequence[Part], name: str) -> list[Histogram]:
    return [Histogram.from_text(part[name]) for part in parts]


def _expanded(parts: Sequence[Part], name: str) -> Latencies:
    """Return the merged histogram as latencies (us); counted again, it is the same."""
    whole = Histogram.merged(_histograms(parts, name))
    return np.repeat(whole.values_us, whole.counts).astype(np.float64)
