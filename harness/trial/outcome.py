"""What is observed of a trial, and how it is judged: the values that its stages hand on. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.host import interference
from harness.plan.interleaving import Slice
from harness.plan.plan import Spec
from harness.results.rows import TrialRow
from harness.target import probes
from harness.trial.meter import Stretch

Latencies = NDArray[np.float64]

UNANSWERED = "no request was answered in the measured window"


@dataclass(frozen=True)
class Trial:
    """A finished trial: its row, and a latency in microseconds for each request of the window.

    `latencies_us` count from the actual sending; `response_us`, of an open load, from the intended.
    """

    row: TrialRow
    latencies_us: Latencies
    response_us: Latencies = field(default_factory=lambda: np.empty(0))


@dataclass(frozen=True)
class Seen:
    """What was seen of a trial, not judged yet.

    `row` has no numbers, `done` is what the generator says, `rows` has a line a request (see
    `assess`), `first` and `last` are the readings at both ends of the window. `slices` are those of
    an interleaved trial, on CLOCK_MONOTONIC; None of one that had the time for itself. `earlier` is
    what the generator said of earlier loads on the same server, `metered` the CPU time in an
    interleaved trial's stretches.
    """

    spec: Spec
    row: TrialRow
    done: Mapping[str, Any]
    rows: Latencies
    first: probes.Reading
    last: probes.Reading
    slices: tuple[Slice, ...] | None = None
    earlier: tuple[Mapping[str, Any], ...] = ()
    metered: tuple[Stretch, ...] = ()


@dataclass(frozen=True)
class Surroundings:
    """What was seen of the host around the trials of servers that lived at the same time.

    `server_cores` are the servers' own processors; none, where they share them with the generator.
    """

    before: interference.Witness
    after: interference.Witness
    server_cores: tuple[int, ...]


def void(row: TrialRow, reason: str, evidence: str | None) -> Trial:
    """Return a trial that does not count, and why."""
    one_line = " ".join(reason.split())
    return Trial(
        replace(row, verdict=f"void: {one_line}", first_error=evidence or reason), np.empty(0)
    )
