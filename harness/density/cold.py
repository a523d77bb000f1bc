"""Cold starts: how long the first answer takes of a tenant who was never asked, or was evicted.

One client asks each tenant once, one after the other, of a server that has just been started: each
is *never asked*. Half of the tenants, every other one, are asked with a cold page cache: just
before, their own files are taken out of it (posix_fadvise(2), POSIX_FADV_DONTNEED), and nothing
else of the host's. So both halves meet the same host.

Where workers are a tenant's own, the server is started again with room for one worker. Each tenant
is asked once, which evicts the tenant before, and then once more: each was *evicted*.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from harness.density.study import Ground, command_of
from harness.errors import IsobenchError
from harness.profile.serial_client import SerialClient
from harness.results.rows import ColdStartRow
from harness.stats.intervals import CONFIDENCE, quantile_ranks
from harness.target import randomization
from harness.target.server import Server, Site
from harness.target.targets import Target, choose
from workloads import tenants
from workloads.load.collector import collector_off

NEVER_ASKED, EVICTED = "never asked", "evicted"
WARM, COLD = "warm", "cold"
_BOUND = "bound"


def measure(ground: Ground, target: Target, site: Site) -> Iterator[ColdStartRow]:
    """Yield what was found of a target: a row for each state and page cache."""
    yield from _rows(ground, target, site, target, NEVER_ASKED)
    bounded = _with_one_worker(target)
    if bounded is not None:
        yield from _rows(ground, target, site, bounded, EVICTED)


def _with_one_worker(target: Target) -> Target | None:
    """Return the target with room for one worker; None where workers are not a tenant's own."""
    if target.is_peer or _BOUND in target.options:
        return None
    joint = "+" if ":" in target.name else ":"
    try:
        (bounded,) = choose([f"{target.name}{joint}{_BOUND}=1"])
    except IsobenchError:
        return None
    return bounded


def _rows(
    ground: Ground, target: Target, site: Site, served: Target, state: str
) -> Iterator[ColdStartRow]:
    try:
        found = _times(ground, served, site, rounds=1 if state == NEVER_ASKED else 2)
    except IsobenchError as error:
        why = " ".join(str(error).split())
        found, note = {WARM: [], COLD: []}, why
    else:
        note = ""
    in_memory = in_memory_only(site.sites)
    for cache, times in found.items():
        if cache == COLD and in_memory:
            times, said = [], note or "the sites are in memory, where no page cache gets cold"
        else:
            said = note
        yield row_of(target.name, state, cache, times, said)


def row_of(target: str, state: str, cache: str, times: list[float], note: str) -> ColdStartRow:
    """Return the row of some times, in milliseconds; the interval is that of the median."""
    row = ColdStartRow(target=target, state=state, page_cache=cache, requests=len(times), note=note)
    if not times:
        return row
    ordered = np.sort(times)
    ranks = quantile_ranks(len(ordered), 0.5, CONFIDENCE)
    low, high = (float(ordered[rank - 1]) for rank in ranks) if ranks else (None, None)
    return ColdStartRow(
        **{
            **vars(row),
            "p50_ms": float(np.quantile(ordered, 0.5)),
            "p99_ms": float(np.quantile(ordered, 0.99)),
            "low_ms": low,
            "high_ms": high,
        }
    )


def _times(ground: Ground, target: Target, site: Site, rounds: int) -> dict[str, list[float]]:
    """Return the times of the last round, by page cache, in milliseconds."""
    settled = tenants.Manifest.read(site.sites.parent / "tenants.json")
    setup = randomization.draw(ground.procedure.seed, 1, target.name)
    processes = ground.resources.processes
    times: dict[str, list[float]] = {WARM: [], COLD: []}
    arguments = ["--port", "0", "--workers", "1"]
    with Server(target, site, processes, arguments, setup.environment()) as server:
        command = command_of(ground, target, server, site, settled, "uniform")
        client = SerialClient({**command, "client": "lean"})
        with collector_off():
            for number in range(rounds * len(settled.tenants)):
                tenant = settled.tenants[number % len(settled.tenants)]
                is_cold = number % 2 == 1
                if is_cold:
                    drop_from_page_cache(tenant.site)
                answered = client.ask()
                if number >= (rounds - 1) * len(settled.tenants):
                    took = (answered.delivered - answered.began) / 1e6
                    times[COLD if is_cold else WARM].append(took)
    return times


def drop_from_page_cache(site: Path) -> None:
    """Take a tenant's own files out of the page cache, once they are on the disk."""
    for path in site.rglob("*"):
        if path.is_file() and not path.is_symlink():
            descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW)
            try:
                os.fdatasync(descriptor)
                os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
            finally:
                os.close(descriptor)


def in_memory_only(path: Path, mounts: str | None = None) -> bool:
    """Return whether a path is on a file system that has no disk (proc_pid_mountinfo(5))."""
    text = Path("/proc/self/mountinfo").read_text() if mounts is None else mounts
    kind, longest = "", -1
    for line in text.splitlines():
        before, _, after = line.partition(" - ")
        point = before.split()[4]
        inside = str(path) == point or str(path).startswith(point.rstrip("/") + "/")
        if inside and len(point) >= longest:
            kind, longest = after.split()[0], len(point)
    return kind in ("tmpfs", "ramfs")
