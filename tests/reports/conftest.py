"""A results folder as a run would write it, from made-up numbers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import ArrayLike

import reports
from harness.errors import Caution
from harness.results.folder import ResultsFolder
from harness.results.manifest import Manifest, Skipped, Target
from harness.results.rows import TrialRow
from tests.harness.folders import ROW
from tests.harness.live import MANIFEST

Facts = tuple[str, float, float, float, float, float]

# target: (runs as, requests/s with close, with keep-alive, CPU us a request, forks, memory MiB)
NUMBERS: dict[str, Facts] = {
    "cgi": ("server", 110, 112, 9_100, 1.0, 61),
    "suexec": ("owner", 98, 99, 10_300, 1.0, 60),
    "dso": ("server", 14_200, 25_100, 58, 0.0, 84),
    "harache": ("owner", 1_050, 1_080, 910, 1.0, 91),
    "ruid2": ("owner", 9_800, 15_300, 84, 0.0, 85),
}

MakeFolder = Callable[..., Path]


def manifest(**changes: object) -> Manifest:
    usual = replace(
        MANIFEST,
        run_id="2026-03-01T12-00-00-7",
        commit="0123456789abcdef",
        argv=("isobench", "run", "--modes", ",".join(NUMBERS)),
        arguments={"blocks": 5},
        plan={"blocks": 5},
        machine={
            "cpu": {"model": "Example CPU at 3 GHz", "cores": 2},
            "kernel": "6.18.0",
            "mitigations": {"spectre_v2": "Mitigation: Retpolines"},
            "governor": "performance",
        },
        versions={"python": "3.11.7", "locust": "2.32"},
        targets=tuple(
            Target(name, "mode", f"precedent of {name}", facts[0], f"what {name} does")
            for name, facts in NUMBERS.items()
        ),
        skipped=(Skipped("suzuki", "no CAP_NET_RAW", "run as root"),),
        interpreter={"path": "/usr/bin/python3", "flags": "-IS"},
        warnings=(Caution("the governor is powersave", "set it to performance"),),
        cores={"server": [0], "generator": [1]},
    )
    return replace(usual, **changes)  # type: ignore[arg-type]


def trial(
    number: int,
    block: int,
    target: str,
    connection: str,
    random: np.random.Generator,
    numbers: dict[str, Facts],
) -> tuple[TrialRow, np.ndarray[tuple[int], np.dtype[np.float64]]]:
    runs_as, close, keep_alive, cpu, forks, memory = numbers[target]
    mean = close if connection == "close" else keep_alive
    rate = mean * float(random.lognormal(0, 0.02))
    count = min(int(rate * 3), 20_000)
    latencies = 8e6 / rate * random.lognormal(-0.05, 0.3, count)
    quantiles = np.quantile(latencies, [0.5, 0.9, 0.99]) / 1000
    row = replace(
        ROW,
        trial=f"{block}-{number}",
        block=block,
        position=number,
        target=target,
        runs_as=runs_as,
        connection=connection,
        tenants=10,
        measured_s=3.0,
        requests=count,
        errors=0,
        requests_per_second=rate,
        mean_ms=float(latencies.mean()) / 1000,
        p50_ms=float(quantiles[0]),
        p90_ms=float(quantiles[1]),
        p99_ms=float(quantiles[2]),
        max_ms=float(latencies.max()) / 1000,
        served=count,
        sent=count,
        server_cpu_us_per_request=cpu * float(random.lognormal(0, 0.01)),
        server_cpu_source="cgroup",
        forks_per_request=forks,
        context_switches_per_request=2.0,
        page_faults_per_request=30.0 * forks,
        memory_mib=memory,
        processes=9,
        generator_cpu_share=0.6,
        steal_share=0.001,
        startup_s=0.2,
    )
    return row, latencies


def void(row: TrialRow, reason: str = "wrong identity") -> TrialRow:
    names = ("trial", "block", "position", "target", "runs_as", "connection", "tenants")
    same = {name: getattr(row, name) for name in names}
    return replace(
        ROW,
        **same,
        requests_per_second=None,
        verdict=f"void: {reason}",
        first_error="uid=33, not 47001",
    )


@pytest.fixture(name="make_folder", scope="session")
def _make_folder(tmp_path_factory: pytest.TempPathFactory) -> MakeFolder:
    """Return a function that writes a finished run's folder and returns its path."""

    def make(
        *,
        blocks: int = 5,
        connections: Sequence[str] = ("close", "keep-alive"),
        numbers: dict[str, Facts] | None = None,
        targets: Sequence[str] = tuple(NUMBERS),
        void_targets: Sequence[str] = (),
        finished: bool = True,
    ) -> Path:
        random = np.random.default_rng(7)
        path = tmp_path_factory.mktemp("run")
        made: list[tuple[TrialRow, ArrayLike, ArrayLike]] = []
        for block in range(blocks):
            plan = [(target, how) for target in targets for how in connections]
            for number, place in enumerate(random.permutation(len(plan))):
                target, how = plan[place]
                row, latencies = trial(number, block, target, how, random, numbers or NUMBERS)
                is_void = target in void_targets
                made.append((void(row), (), ()) if is_void else (row, latencies, ()))
        with ResultsFolder.create(path, manifest()) as folder:
            folder.append_trials(made)
            if finished:
                folder.finish()
        return path

    return make


@pytest.fixture(name="report", scope="session")
def _report(make_folder: MakeFolder) -> Path:
    """Return the page of the usual made-up run: five targets, five blocks."""
    return reports.make(make_folder())


@pytest.fixture(name="manifest")
def _manifest() -> Manifest:
    return manifest()
