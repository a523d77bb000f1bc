"""One target with so many tenants: started, loaded, looked at, stopped."""

from __future__ import annotations

import contextlib
import shutil
import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import psutil

from harness.density.procedure import LEFT_FREE, Procedure, asked_by
from harness.errors import IsobenchError
from harness.host.cores import Cores
from harness.profile.serial_client import SerialClient
from harness.results.rows import DensityRow
from harness.target import probes, randomization
from harness.target.run_resources import RunResources
from harness.target.server import Server, Site
from harness.target.sites import settle
from harness.target.targets import Target
from harness.trial.generators.generator import Generator
from workloads import tenants
from workloads.catalog import find

_LOOK_S = 0.05
_MIB = 2**20


@dataclass(frozen=True)
class Ground:
    """What all steps of a study stand on."""

    resources: RunResources
    cores: Cores
    generator: Generator
    procedure: Procedure
    client: str


class MemoryGuard:
    """A context that ends a server which takes more memory than the host can spare."""

    def __init__(self, resources: RunResources, floor_bytes: int) -> None:
        self._resources = resources
        self._floor = floor_bytes
        self._over = threading.Event()
        self.least_processes = 0
        self.has_struck = False

    def __enter__(self) -> MemoryGuard:
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._over.wait(_LOOK_S):
            if psutil.virtual_memory().available < self._floor:
                self.least_processes = len(self._resources.processes.pids() or ())
                self.has_struck = True
                self._resources.processes.kill()
                return


def room_mib() -> float:
    """Return how much memory servers may take here now, in MiB."""
    memory = psutil.virtual_memory()
    return max(0.0, memory.available - LEFT_FREE * memory.total) / _MIB


@contextlib.contextmanager
def populated(ground: Ground, count: int, languages: tuple[str, ...]) -> Iterator[Site]:
    """Provide the sites of so many tenants, with the one script that is asked for."""
    scratch = ground.resources.scratch
    place = scratch / "density"
    place.mkdir()
    try:
        yield settle(
            ground.resources,
            count,
            ground.cores,
            languages=languages,
            only=("hello",),
            place=place,
        )
    finally:
        shutil.rmtree(place)


def measure(ground: Ground, target: Target, site: Site) -> list[DensityRow]:
    """Measure a target with the tenants of `site`, a row for each popularity.

    One server serves all: what the loads before have started is there when the next begins, as it
    is on a host that runs for days. A target that fails has rows that say why.
    """
    settled = tenants.Manifest.read(site.sites.parent / "tenants.json")
    count = len(settled.tenants)
    available = room_mib()
    rows = [
        DensityRow(
            target=target.name,
            tenants=count,
            popularity=one,
            available_mib=available,
            seconds=ground.procedure.seconds,
        )
        for one in ground.procedure.popularities
    ]
    floor = int(LEFT_FREE * psutil.virtual_memory().total)
    made: list[DensityRow] = []
    with MemoryGuard(ground.resources, floor) as guard:
        try:
            for row in _measured(ground, target, site, settled, rows):
                made.append(row)
        except IsobenchError as error:
            why = " ".join(str(error).split())
            if guard.has_struck:
                why = f"does not fit into memory: ended at {guard.least_processes} processes"
            made += [replace(row, note=why) for row in rows[len(made) :]]
    return made


def _measured(
    ground: Ground, target: Target, site: Site, settled: tenants.Manifest, rows: list[DensityRow]
) -> Iterator[DensityRow]:
    processes = ground.resources.processes
    setup = randomization.draw(ground.procedure.seed, 1, target.name)
    arguments = ["--port", "0", "--workers", str(ground.procedure.users)]
    with Server(target, site, processes, arguments, setup.environment()) as server:
        idle = probes.memory_mib(probes.processes_of(server, processes))
        command = command_of(ground, target, server, site, settled, rows[0].popularity)
        active = _wake(command, ground.procedure.waking_s)
        for row in rows:
            started = replace(row, startup_s=server.startup_s, idle_memory_mib=idle)
            yield _loaded(ground, target, server, command, started, active)


def _wake(command: dict[str, Any], seconds: float) -> set[int]:
    """Ask each tenant once, as many as there is time for; return which were asked."""
    client = SerialClient({**command, "client": "lean"})
    deadline = time.monotonic() + seconds
    asked = 0
    while asked < len(command["tenants"]) and time.monotonic() < deadline:
        client.ask()
        asked += 1
    return set(range(asked))


def _loaded(
    ground: Ground,
    target: Target,
    server: Server,
    command: dict[str, Any],
    row: DensityRow,
    active: set[int],
) -> DensityRow:
    """Load the server as a row says; add the tenants that were asked to those `active` so far."""
    processes = ground.resources.processes
    output = ground.resources.scratch / "density.npy"
    readings: list[probes.Reading] = []
    command = command | {
        "popularity": row.popularity,
        "trial": f"{target.name}/{row.tenants}/{row.popularity}",
        "warmup_s": ground.procedure.warmup_s,
        "measure_s": ground.procedure.seconds,
        "output": str(output),
    }
    done = ground.generator.trial(
        command, lambda _event, _at: readings.append(probes.read(server, processes))
    )
    pids = probes.processes_of(server, processes)
    memory = probes.memory_mib(pids)
    used = probes.between(*readings)
    active |= set(range(min(done["asked_first"], row.tenants)))
    active |= asked_by(row.tenants, row.popularity, ground.procedure.seed, done["sent"])
    return replace(
        row,
        **_latencies(done),
        memory_mib=memory,
        processes=len(pids),
        active_tenants=len(active),
        cpu_us_per_request=used.cpu_s * 1e6 / done["requests"] if done["requests"] else None,
        worker_starts=used.forks
        if target.forks_only_workers
        else _difference(readings, "worker_starts"),
        evictions=_difference(readings, "evictions"),
        code_cache_hit_rate=_hit_rate(readings),
        note=why_void(done),
    )


def _difference(readings: list[probes.Reading], name: str) -> int | None:
    first, last = (getattr(reading.server, name) for reading in readings)
    return None if first is None or last is None else int(last - first)


def _hit_rate(readings: list[probes.Reading]) -> float | None:
    """Return the share of the requests served whose script's code a worker had."""
    compiled, served = (_difference(readings, name) for name in ("compiled", "served"))
    return 1 - compiled / served if served and compiled is not None else None


def why_void(done: Mapping[str, Any]) -> str:
    """Return why a load says nothing, "" where it does."""
    if not done["errors"]:
        return "" if done["requests"] else "void: no request was answered in time (--seconds)"
    reason = (done["evidence"] or {}).get("reason", "requests without an answer")
    return f"void: {done['errors']} wrong answers, first: {reason}"


def _latencies(done: Mapping[str, Any]) -> dict[str, Any]:
    file = Path(done["file"])
    rows = np.load(file)
    file.unlink()
    begin, end = done["window"]
    inside = rows[(rows[:, 0] >= begin) & (rows[:, 0] < end), 1] / 1e3
    found: dict[str, Any] = {"requests": len(inside), "errors": done["errors"]}
    if len(inside) and not done["errors"]:
        p50, p99 = np.quantile(inside, (0.5, 0.99))
        found |= {"p50_ms": float(p50), "p99_ms": float(p99)}
        found["requests_per_second"] = len(inside) / (end - begin)
    return found


def command_of(
    ground: Ground,
    target: Target,
    server: Server,
    site: Site,
    settled: tenants.Manifest,
    popularity: str,
) -> dict[str, Any]:
    """Return what the generator has to know of a target's tenants (`workloads.load.spec.read`)."""
    in_own_group = target.in_own_group
    identities = [
        tenants.script_identity(target.runs_as, settled.www, one.identity)
        for one in settled.tenants
    ]
    return {
        "host": server.host,
        "port": server.port,
        "workload": find("hello").name,
        "tenants": [
            {
                "name": tenant.name,
                "uid": who.uid,
                "gid": who.gid,
                "groups": [who.gid] if in_own_group else list(who.groups),
                "host": target.host_of(tenant.uid),
            }
            for tenant, who in zip(settled.tenants, identities, strict=True)
        ],
        "server": vars(settled.www),
        "credential_key": str(site.credential_key) if target.by_client else None,
        "language": target.language,
        "connection": "close",
        "client": ground.client,
        "users": ground.procedure.users,
        "popularity": popularity,
        "seed": ground.procedure.seed,
    }
