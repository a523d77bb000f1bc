"""Results folders of made-up runs that measured with a known speed and a known scatter."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from harness.results.folder import ResultsFolder
from harness.results.manifest import Manifest
from harness.results.rows import TrialRow
from tests.harness.live import MANIFEST

BASE = replace(
    MANIFEST,
    run_id="before",
    machine={"cpu": "Example CPU", "kernel": "6.18.0", "governor": "performance"},
    versions={"locust": "2.32"},
    plan={"blocks": 8, "seconds": 2.0, "seed": 1},
)
NEW = replace(BASE, run_id="after", started_at="2026-03-01T15:00:00+00:00")

# A good trial with nothing in it but what every trial has.
ROW = TrialRow(
    trial="001/dso/hello/closed:8/close",
    block=1,
    position=1,
    target="dso",
    kind="mode",
    runs_as="server",
    workload="hello",
    load="closed:8",
    connection="close",
    tenants=1,
    popularity="uniform",
    started_at="2026-03-01T12:00:00.000+00:00",
    verdict="ok",
    requests_per_second=100.0,
)

RATES: Mapping[str, float] = {"dso": 10_000.0, "cgi": 100.0}
SCATTER = 0.01


def write_folder(
    path: Path,
    manifest: Manifest,
    rates: Mapping[str, float] = RATES,
    *,
    blocks: int = 8,
    seed: int = 1,
    void: Sequence[str] = (),
    tenants: Sequence[int] = (3,),
    finished: bool = True,
) -> Path:
    """Write a run of `hello` under eight users; `rates` is in requests a second, by target."""
    random = np.random.default_rng(seed)
    rows = [
        _row(block, target, number, rate * float(random.lognormal(0, SCATTER)), target in void)
        for block in range(blocks)
        for target, rate in rates.items()
        for number in tenants
    ]
    with ResultsFolder.create(path, manifest) as folder:
        folder.append_trials((row, (), ()) for row in rows)
        if finished:
            folder.finish()
    return path


def _row(block: int, target: str, tenants: int, rate: float, void: bool) -> TrialRow:
    facts = replace(
        ROW, trial=f"{block}/{target}/{tenants}", block=block, target=target, tenants=tenants
    )
    if void:
        return replace(facts, verdict="void: it lied", requests_per_second=None)
    numbers: dict[str, float] = {
        "measured_s": 2.0,
        "requests_per_second": rate,
        "p50_ms": 8000 / rate,
        "p90_ms": 9000 / rate,
        "p99_ms": 12_000 / rate,
        "server_cpu_us_per_request": 900_000 / rate,
        "memory_mib": 64.0,
        "generator_cpu_share": 0.5,
        "steal_share": 0.0,
        "startup_s": 0.2,
    }
    return replace(facts, **numbers)  # type: ignore[arg-type]
