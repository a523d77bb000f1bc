"""What the command `density` does: cost against the number of tenants, and cold starts."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, Final

from rich.console import Console

from harness.commands.groundwork.addition import Addition
from harness.commands.groundwork.beside_products import share_interpreter, with_products
from harness.commands.groundwork.folder import (
    add_targets,
    argv,
    new_manifest,
    new_run_id,
    open_or_create,
    warn_of_change,
)
from harness.commands.groundwork.report import make_report, name_report
from harness.commands.groundwork.runnable import examine_host
from harness.density import cold, study
from harness.density.procedure import Procedure, why_too_large
from harness.host import fingerprint
from harness.host.cores import Cores, own_cores, running_on
from harness.results.folder import ResultsFolder
from harness.results.rows import DensityRow
from harness.target.run_resources import RunResources
from harness.target.targets import Target, choose
from harness.trial.generators.generator import Generator, usual_client
from reports.words.density import left_out, sentences, terminal_table

COMMAND: Final = "density"
_ADDITION: Final = Addition(
    COMMAND, ("density", "coldstarts"), "density measurements", resumable=True
)


def start(
    procedure: Procedure,
    names: Sequence[str],
    chosen: bool,
    peers: bool,
    out: Path | None,
    console: Console,
) -> None:
    """Measure, write a results folder or add to one, and report. Raises IsobenchError.

    `chosen` says whether the user named the targets; if not, those that this host cannot run are
    skipped. With `peers` the real products beside these modes are measured as well.
    """
    run_id = new_run_id()
    path = out or Path("results") / f"density-{run_id}"
    _ADDITION.must_have_room(path)
    targets = with_products(names, all_peers=peers)
    cautions = share_interpreter(targets)
    cores = own_cores()
    ground = examine_host(targets, cores, console, named=chosen, tenants=2)
    usable = ground.targets
    manifest = new_manifest(run_id, ground, procedure.seed)
    manifest = replace(manifest, warnings=(*manifest.warnings, *cautions))
    when = "between the run and the density study"
    with open_or_create(path, manifest, when, console) as folder:
        add_targets(folder, usable)
        folder.note(COMMAND, _record(procedure, [one.name for one in usable]))
        _study(folder, procedure, usable, cores, console)
    _show(path, console)


def resume(path: Path, console: Console) -> None:
    """Continue an interrupted study in its folder. Raises IsobenchError."""
    with ResultsFolder.open(path, writable=True) as folder:
        record = _ADDITION.interrupted(folder)
        procedure = _procedure(record["procedure"])
        when = "before the density study was resumed"
        warn_of_change(folder, fingerprint.fingerprint(), when, console)
        cores = own_cores()
        targets = choose(record["targets"], peers=True)
        share_interpreter(targets)
        _study(folder, procedure, targets, cores, console)
    _show(path, console)


def _record(procedure: Procedure, targets: Sequence[str]) -> dict[str, object]:
    return {
        "argv": list(argv()),
        "seed": procedure.seed,
        "targets": list(targets),
        "procedure": asdict(procedure),
        "finished_at": None,
    }


def _procedure(fields: Mapping[str, Any]) -> Procedure:
    lists = {name: tuple(fields[name]) for name in ("tenants", "popularities")}
    return Procedure(**{**fields, **lists})


class _Clock:
    """How long the study has gone on, and how long its steps took."""

    def __init__(self, budget_s: float) -> None:
        self._began = time.monotonic()
        self._budget_s = budget_s

    def left_s(self) -> float:
        return self._budget_s - (time.monotonic() - self._began)


def _study(
    folder: ResultsFolder,
    procedure: Procedure,
    targets: Sequence[Target],
    cores: Cores,
    console: Console,
) -> None:
    """Make the steps that are left; what is interrupted loses the step under way."""
    client, cautions = usual_client()
    folder.update(warnings=(*folder.manifest.warnings, *cautions))
    clock = _Clock(procedure.budget_s)
    with _ADDITION.under_way(folder, console), ExitStack() as stack:
        stack.enter_context(running_on(cores.generator))

        def ground_on(resources: RunResources) -> study.Ground:
            stack.enter_context(resources)
            log = resources.scratch / "generator.log"
            generator = stack.enter_context(Generator(cores.generator, log))
            return study.Ground(resources, cores, generator, procedure, client)

        if procedure.cold:
            ground = ground_on(RunResources(on_disk=True))
            _cold_starts(folder, ground, targets, clock, console)
        ground = ground_on(RunResources())
        for count in procedure.tenants:
            _with_tenants(folder, ground, targets, count, clock, console)


def _languages(targets: Iterable[Target]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(["python", *(target.language for target in targets)]))


def _cold_starts(
    folder: ResultsFolder,
    ground: study.Ground,
    targets: Sequence[Target],
    clock: _Clock,
    console: Console,
) -> None:
    made = set(folder.table("coldstarts")["target"])
    left = [target for target in targets if target.name not in made]
    if not left:
        return
    console.print("cold starts", highlight=False)
    with study.populated(ground, ground.procedure.cold, _languages(targets)) as site:
        for target in left:
            if clock.left_s() <= 0:
                return
            rows = list(cold.measure(ground, target, site))
            folder.append_table("coldstarts", map(asdict, rows))


def _with_tenants(
    folder: ResultsFolder,
    ground: study.Ground,
    targets: Sequence[Target],
    count: int,
    clock: _Clock,
    console: Console,
) -> None:
    """Measure all targets with so many tenants, as far as time and memory allow."""
    table = folder.table("density")
    made = set(table[table["tenants"] == count]["target"])
    left = [target for target in targets if target.name not in made]
    if not left:
        return
    began = time.monotonic()
    with study.populated(ground, count, _languages(targets)) as site:
        took = time.monotonic() - began
        tenants = "1 tenant" if count == 1 else f"{count:,} tenants"
        console.print(f"{tenants} (made in {took:.1f} s)", highlight=False)
        longest = 0.0
        for target in left:
            step_began = time.monotonic()
            reason = _why_not(folder, target, count, clock.left_s(), longest)
            rows = (
                _left_out(ground.procedure, target, count, reason)
                if reason
                else study.measure(ground, target, site)
            )
            folder.append_table("density", map(asdict, rows))
            if not reason:
                longest = max(longest, time.monotonic() - step_began)


def _why_not(
    folder: ResultsFolder, target: Target, count: int, left_s: float, longest_s: float
) -> str | None:
    """Return why a target is not measured with so many tenants, None where it is."""
    if left_s < longest_s or left_s <= 0:
        return "no time was left (--budget)"
    table = folder.table("density")
    known = table[(table["target"] == target.name) & table["memory_mib"].notna()]
    points = list(zip(known["tenants"], known["memory_mib"], strict=True))
    return why_too_large(points, count, study.room_mib())


def _left_out(procedure: Procedure, target: Target, count: int, reason: str) -> list[DensityRow]:
    row = DensityRow(target=target.name, tenants=count, popularity="", note=reason)
    return [replace(row, popularity=one) for one in procedure.popularities]


def _show(path: Path, console: Console) -> None:
    page = make_report(path)
    folder = ResultsFolder.open(path)
    density, starts = folder.table("density"), folder.table("coldstarts")
    console.print(terminal_table(density, console.width))
    for sentence in sentences(density, starts):
        console.print(sentence.replace("`", ""), highlight=False, markup=False)
    for line in left_out(density, starts):
        console.print(f"left out: {line}", highlight=False, markup=False)
    name_report(page, console)
