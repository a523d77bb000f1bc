"""A load on a server, and what is read of both while it lasts.

The road of a trial: see `assess`.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from harness.host.cgroup import ProcessGroup
from harness.results.rows import TrialRow
from harness.target import probes
from harness.target.server import Server, ServerFailed, Site
from harness.trial.barrier import Barrier
from harness.trial.beside import ceiling
from harness.trial.generators.generator import Generator, LoadFailed
from harness.trial.judging.self_check import least_served
from harness.trial.meter import Meter
from harness.trial.outcome import Latencies, Trial, void
from harness.trial.prepare import Prepared


@dataclass(frozen=True)
class Seat:
    """What one server and its load have for themselves, where several live at the same time."""

    site: Site
    processes: ProcessGroup
    generator: Generator
    output: Path


@dataclass
class Window:
    """What is read at both ends of a measured window."""

    readings: list[probes.Reading] = field(default_factory=list)
    processes: int = 0
    memory_mib: float = 0.0

    def look(self, server: Server, seat: Seat, everybody: Barrier | None = None) -> None:
        """Read the probes at an end of the window; `everybody` are those who load beside."""
        self.readings.append(probes.read(server, seat.processes))
        if len(self.readings) < 2:
            return
        if everybody is not None:  # what follows would disturb those who still read
            everybody.meet()
        pids = probes.processes_of(server, seat.processes)
        self.processes = len(pids)
        self.memory_mib = probes.memory_mib(pids)


def metered(seat: Seat, stretches: Sequence[tuple[float, float]], epoch: float) -> Meter:
    """Return a started meter of a server's CPU time in its stretches, which count from `epoch`."""
    meter = Meter(seat.processes.cpu_s, [(epoch + begin, epoch + end) for begin, end in stretches])
    meter.start()
    return meter


def failed(prepared: Prepared, error: LoadFailed | ServerFailed) -> Trial:
    """Return the void trial that comes of a failure."""
    if isinstance(error, ServerFailed):
        return void(prepared.row, str(error), error.evidence)
    return failed_load(prepared.row, error)


def failed_load(row: TrialRow, error: LoadFailed) -> Trial:
    """Return the void trial of a load that could not be put on."""
    evidence = json.dumps({"reason": str(error), **(error.evidence or {})})
    return void(row, str(error), evidence)


def loaded(
    server: Server, seat: Seat, command: dict[str, Any], on_event: Callable[[str, float], None]
) -> Mapping[str, Any]:
    """Put a load on a server. Raises LoadFailed, and ServerFailed where that is the reason."""
    try:
        return seat.generator.trial(command, on_event)
    except LoadFailed:
        server.must_be_there()  # else it is no fault of its answers
        raise


def row_of(
    prepared: Prepared, server: Server, window: Window, loads: Sequence[Mapping[str, Any]]
) -> TrialRow:
    """Return the trial's row with what only the server and the window tell.

    `loads` is what the generator said of all loads on the server so far.
    """
    return replace(
        prepared.row,
        startup_s=server.startup_s,
        memory_mib=window.memory_mib,
        processes=window.processes,
        served=server.served(least_served(loads)),
        aborts=server.aborted(),
        env_bytes=server.env_bytes,
        hash_seed=None if ceiling.is_null(prepared.target.name) else prepared.setup.hash_seed,
        port=server.port,
        tenant_order=prepared.setup.order_seed,
        asked_first=max(int(one["asked_first"]) for one in loads),
    )


def rate_of(rows: Latencies) -> float:
    """Return the requests that were answered in a second, from the first sent to the last answered.

    A count in a window would find hardly any of a target that needs as long as that for one.
    """
    if not len(rows):
        return 0.0
    completed, latency_s = rows[:, 0], rows[:, 1] / 1e6
    return float(len(rows) / (completed.max() - (completed - latency_s).min()))


def rows_of(done: Mapping[str, Any]) -> Latencies:
    """Return what a load recorded, and remove the file."""
    file = Path(done["file"])
    rows: Latencies = np.load(file)
    file.unlink()
    return rows
