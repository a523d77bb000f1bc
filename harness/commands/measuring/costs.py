"""What the command `costs` does, from the wish to the report."""

from __future__ import annotations

import os
import random
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Final

import psutil
from rich.console import Console

from harness.commands.groundwork.addition import Addition
from harness.commands.groundwork.folder import (
    Ground,
    Host,
    argv,
    new_manifest,
    new_run_id,
    now,
    warn_of_change,
)
from harness.commands.groundwork.report import make_report, name_report
from harness.costs import build, copying, creation, imports, interpreters, lines, loading, workers
from harness.costs import samples as cost_samples
from harness.costs.display import Display
from harness.costs.effort import Effort
from harness.costs.samples import Cost, Missing, Sample
from harness.host.cores import Cores, own_cores, running_on
from harness.results.folder import ResultsFolder
from harness.target.run_resources import RunResources
from harness.target.sites import settle
from harness.target.targets import Target, python, with_kept_workers
from reports.terminal import render_costs
from workloads import tenants
from workloads.catalog import WORKLOADS
from workloads.proof import Identity

COMMAND: Final = "costs"
_TABLE: Final = "costs"
_ADDITION: Final = Addition(COMMAND, (_TABLE,), "costs")
_FILL_MIB_PER_S: Final = 1000.0
_PYTHON_FILL_MIB_PER_S: Final = 100.0
_CLEAR_UP_S: Final = 0.15
_LAUNCH_S: Final = 0.03
_IMPORTS_S: Final = 0.04
_WORKERS_S: Final = 2.0

Taken = Iterable[Sample | Missing]


@dataclass(frozen=True)
class Step:
    """A part of a round: what it is called, how long it takes, about, and the doing of it."""

    what: str
    expected_s: float
    take: Callable[[int, random.Random], Taken]


@dataclass
class Found:
    """What has been measured so far, and what could not be."""

    samples: list[Sample] = field(default_factory=list)
    missing: dict[str, Missing] = field(default_factory=dict)

    def add(self, one: Sample | Missing) -> None:
        """Take one in; of what is missing for several reasons the first is kept."""
        if isinstance(one, Sample):
            self.samples.append(one)
        else:
            self.missing.setdefault(one.name, one)

    def rows(self) -> list[Cost]:
        """Return the rows of costs.parquet."""
        return [*cost_samples.rows(self.samples), *lines.fit(self.samples)]


def start(
    effort: Effort, seed: int, out: Path | None, console: Console, *, report: bool = True
) -> None:
    """Measure, write costs.parquet, and make the report. Raises IsobenchError.

    Into the folder of an earlier run, if `out` is one without costs; else into a new one. Without
    `report`, that is left to a later command.
    """
    run_id = new_run_id()
    path = out or Path("results") / f"costs-{run_id}"
    _ADDITION.must_have_room(path)
    earlier = (path / "run.json").exists()
    started_at = now()
    host = Host.examine()
    with ExitStack() as stack:
        folder = None
        if earlier:
            folder = stack.enter_context(ResultsFolder.open(path, writable=True))
        resources = stack.enter_context(RunResources())
        cores = own_cores()
        with running_on(cores.generator):
            found = _measure(effort, seed, resources, cores, console)
        if folder is None:
            manifest = new_manifest(run_id, Ground((), (), cores, host), seed)
            manifest = replace(manifest, started_at=started_at)
            folder = stack.enter_context(ResultsFolder.create(path, manifest))
        else:
            when = "between the run and the costs"
            warn_of_change(folder, host.fingerprint, when, console)
        _write_down(folder, found, effort, seed, started_at, finish=not earlier)
    _show(path, console, report=report)


def _write_down(
    folder: ResultsFolder, found: Found, effort: Effort, seed: int, started_at: str, finish: bool
) -> None:
    folder.append_table(_TABLE, [asdict(cost.row()) for cost in found.rows()])
    record = {
        "argv": list(argv()),
        "seed": seed,
        "started_at": started_at,
        "finished_at": now(),
        **effort.to_json(),
        "missing": [{"name": one.name, "reason": one.reason} for one in found.missing.values()],
    }
    folder.note(COMMAND, record)
    if finish:
        folder.finish()


def _measure(
    effort: Effort, seed: int, resources: RunResources, cores: Cores, console: Console
) -> Found:
    found = Found()
    steps = list(_steps(effort, resources, cores, found, console))
    expected_s = effort.rounds * sum(step.expected_s for step in steps)
    with Display(console, expected_s) as display:
        for number in range(1, effort.rounds + 1):
            chance = random.Random(f"{seed}/{number}")
            for step in chance.sample(steps, len(steps)):
                display.begins(number, step.what)
                for one in step.take(number, chance):
                    found.add(one)
                display.ended(step.expected_s)
    return found


def _steps(
    effort: Effort, resources: RunResources, cores: Cores, found: Found, console: Console
) -> Iterator[Step]:
    """Yield what each round consists of; what this host lacks goes to `found` at once."""
    folder = resources.scratch / "costs"
    folder.mkdir()
    console.print("looking for interpreters", highlight=False)
    built = build.build(folder)
    launches, absent = interpreters.find(folder, built, effort.byte_code_of_all)
    traced, untraced = loading.trace(launches, folder)
    for missing in (*built.missing, *absent, *untraced):
        found.add(missing)
    yield from _creations(effort, built, resources, cores, found)
    for mib in effort.python_heaps_mib:
        yield from (_heap(mib, how, cores) for how in copying.HOWS)
    yield from _workers(effort, resources, cores)
    cpu = cores.server[0]
    for one in launches:
        yield _launch(one, built, effort, cpu, traced.get(one))
    yield from map(_imports, _scripts(folder))


def _creations(
    effort: Effort,
    built: build.Programs,
    resources: RunResources,
    cores: Cores,
    found: Found,
) -> Iterator[Step]:
    room_mib = psutil.virtual_memory().available / 2**20 / 2
    for mib in effort.heaps_mib:
        if mib > room_mib:
            found.add(Missing(f"processes of {mib} MiB", "half of the free memory is less"))
            continue
        for pages in ("small", "huge"):
            heap = creation.Heap(mib, pages)
            yield _creation(heap, built, effort, resources, cores)


def _creation(
    heap: creation.Heap,
    built: build.Programs,
    effort: Effort,
    resources: RunResources,
    cores: Cores,
) -> Step:
    def take(number: int, chance: random.Random) -> Taken:
        maker = creation.Creator(built, heap, cores.server, resources.processes.path)
        try:
            with maker:
                yield from creation.one_round(maker, number, effort, chance)
        except creation.Refused as refused:
            yield Missing(str(heap), str(refused))

    budgets_s = len(creation.WAYS) * effort.creation_us / 1e6
    expected_s = heap.mib / _FILL_MIB_PER_S + budgets_s + _CLEAR_UP_S
    return Step(f"processes of {heap}", expected_s, take)


def _heap(mib: int, how: str, cores: Cores) -> Step:
    def take(number: int, chance: random.Random) -> Taken:
        return copying.one_round(mib, how, number, cores.server, chance)

    return Step(f"Python heap of {mib} MiB", mib / _PYTHON_FILL_MIB_PER_S + _CLEAR_UP_S, take)


def _workers(effort: Effort, resources: RunResources, cores: Cores) -> Iterator[Step]:
    """Yield a step for each target that keeps workers of tenants, all with the same tenants."""
    site = settle(resources, effort.tenants, cores)
    manifest = tenants.Manifest.read(site.sites.parent / "tenants.json")
    hosts = [f"{tenant.name}.localhost" for tenant in manifest.tenants]

    def step(target: Target) -> Step:
        def take(number: int, chance: random.Random) -> Taken:
            if number > effort.worker_rounds:
                return ()
            mixed = chance.sample(hosts, len(hosts))
            return workers.one_round(target, site, resources.processes, mixed, number)

        return Step(f"workers of {target.name}", _WORKERS_S, take)

    yield from map(step, with_kept_workers())


def _launch(
    one: interpreters.Launch,
    built: build.Programs,
    effort: Effort,
    cpu: int,
    traced: loading.Traced | None,
) -> Step:
    def take(number: int, chance: random.Random) -> Taken:
        taken = loading.launch(built, one, number, effort, cpu, traced)
        return [taken] if isinstance(taken, Missing) else taken

    return Step(f"{one.name} {one.what}", max(_LAUNCH_S, effort.launch_us / 1e6), take)


def _imports(script: imports.Script) -> Step:
    def take(number: int, chance: random.Random) -> Taken:
        return imports.one_round(script, number)

    return Step(f"imports of {script.workload}", _IMPORTS_S, take)


def _scripts(folder: Path) -> Iterator[imports.Script]:
    """Yield the script without any line, then each workload's, in a site made for it."""
    empty = folder / "empty.py"
    empty.write_text("")
    yield imports.Script(imports.START, empty, folder, {})
    # Owned by whoever runs this: the imports are the same, and no other identity is needed.
    own = Identity(os.geteuid(), os.getegid(), tuple(sorted(os.getgroups())))
    sites = folder / "sites"
    tenants.create(
        sites,
        count=1,
        www=own,
        first_uid=own.uid,
        interpreter=f"{python()} -IS",
        workloads=WORKLOADS.values(),
        own=False,
    )
    (site,) = (path for path in sites.iterdir() if path.is_dir())
    for workload in WORKLOADS.values():
        request = {"CONTENT_LENGTH": "0", "QUERY_STRING": workload.query}
        yield imports.Script(workload.name, site / workload.script, site, request)


def _show(path: Path, console: Console, *, report: bool) -> None:
    page = make_report(path, wanted=report)
    folder = ResultsFolder.open(path)
    console.print(render_costs(folder.table(_TABLE)))
    for one in folder.manifest.also[COMMAND]["missing"]:
        console.print(f"left out: {one['name']} ({one['reason']})", highlight=False, markup=False)
    name_report(page, console)
