"""What the command `profile` does, from the wish to the report (see `profiler`)."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path
from typing import Final

from rich.console import Console

from harness.commands.groundwork.addition import Addition
from harness.commands.groundwork.folder import (
    Ground,
    Host,
    add_targets,
    argv,
    new_manifest,
    new_run_id,
    open_or_create,
)
from harness.commands.groundwork.report import make_report, name_report
from harness.commands.groundwork.runnable import runnable
from harness.errors import IsobenchError
from harness.host.cores import Cores, own_cores, running_on
from harness.profile import chrome_trace
from harness.profile.phases import REQUEST, Phase
from harness.profile.profiler import Procedure, Profiled, Profiler, settled
from harness.results.atomic_file import make_directory, replace_file
from harness.results.folder import ResultsFolder
from harness.results.format import duration, percent
from harness.results.rows import CallRow, PhaseRow, ProfileRow
from harness.stats.intervals import NOTHING, Interval
from harness.target.sites import settle
from harness.target.targets import choose
from harness.trial.beside import page_pace, stamping_overhead
from workloads import catalog

COMMAND: Final = "profile"
_NAMED: Final = 3
"""How many of a target's phases the terminal names."""


def start(
    procedure: Procedure,
    comparison: stamping_overhead.Comparison,
    names: Sequence[str],
    chosen: bool,
    out: Path | None,
    console: Console,
) -> None:
    """Profile targets, into a new results folder or that of an earlier run, and report.

    `chosen` says whether the user named the targets; if not, those that this host cannot run are
    skipped. Raises IsobenchError, with exit code 1 where phases do not add up.
    """
    catalog.find(procedure.workload)
    run_id = new_run_id()
    path = out or Path("results") / f"profile-{run_id}"
    Addition(COMMAND, (), "profiles").must_have_room(path)
    targets = choose(names)
    host = Host.examine()
    cores = own_cores()
    failed = []
    with ExitStack() as stack:
        resources, tracing = stack.enter_context(settled())
        pace = page_pace.measure(cores.server) if page_pace.needed([procedure.workload]) else None
        site = settle(resources, procedure.tenants, cores, pace)
        needed = [target.name for target in targets] if chosen else ()
        usable, refused = runnable(targets, site, console, needed=needed)
        ground = Ground(usable, refused, cores, host)
        folder = stack.enter_context(_folder(path, run_id, procedure, ground, console))
        record = {"argv": list(argv()), **asdict(procedure)}
        folder.note(COMMAND, record)
        if tracing.why_not:
            console.print(f"the kernel's view is missing: {tracing.why_not}", highlight=False)
        # Where the generator is, as in a run: our own work must not slow the server down.
        stack.enter_context(running_on(cores.generator))
        profiler = Profiler(resources, site, procedure)
        for target in usable:
            found = profiler.measure(target, tracing)
            _write(folder, procedure, found, tracing.why_not)
            console.print(_line(found), highlight=False)
            if not found.profile.adds_up:
                failed.append(found)
    if stamping_overhead.SUBJECT in {target.mode for target in usable}:
        _find_cost(path, comparison, cores, procedure, console)
    _conclude(path, failed, console)


def _folder(
    path: Path, run_id: str, procedure: Procedure, ground: Ground, console: Console
) -> ResultsFolder:
    """Return the folder of an earlier run, or a new one, with these targets among its own."""
    manifest = new_manifest(run_id, ground, procedure.seed)
    when = "between the run and the profile"
    folder = open_or_create(path, manifest, when, console)
    add_targets(folder, ground.targets)
    return folder


def _write(folder: ResultsFolder, procedure: Procedure, found: Profiled, why_not: str) -> None:
    name, profile, counts = found.target.name, found.profile, found.counts
    phases = [PhaseRow(target=name, **asdict(one)) for one in profile.phases]
    folder.replace_targets("phases", map(asdict, phases))
    folder.replace_targets(
        "calls",
        [
            asdict(CallRow(target=name, call=call, per_request=per_request))
            for call, per_request in sorted(counts.calls.items())
        ],
    )
    row = ProfileRow(
        target=name,
        workload=procedure.workload,
        tenants=procedure.tenants,
        requests=profile.requests,
        disordered=profile.disordered,
        service_us=profile.service_us,
        accounted=profile.accounted,
        missing=", ".join(profile.missing),
        no_kernel_view=why_not,
        page_faults=counts.page_faults,
        context_switches=counts.context_switches,
        forks=counts.forks,
        calls_counted_by=counts.source,
        **_cost_columns(NOTHING),
    )
    folder.replace_targets("profiles", [asdict(row)])
    traces = make_directory(folder.path / "traces")
    content = chrome_trace.trace(name, found.course, found.passed, found.events)
    file = re.sub(r"[^a-z0-9_]+", "-", name)
    replace_file(traces / f"{file}.json", json.dumps(content).encode())


def _cost_columns(cost: Interval) -> dict[str, float]:
    return {
        "stamping_cost": cost.mid,
        "stamping_cost_low": cost.low,
        "stamping_cost_high": cost.high,
    }


def _find_cost(
    path: Path,
    comparison: stamping_overhead.Comparison,
    cores: Cores,
    procedure: Procedure,
    console: Console,
) -> None:
    """Measure what stamping costs, and note it with the target that it was measured on."""
    with running_on(cores.generator):
        cost = stamping_overhead.cost(comparison, cores, procedure.seed)
    console.print(
        f"stamping costs {stamping_overhead.SUBJECT} {percent(cost.mid)} of its requests per "
        f"second (95%: {percent(cost.low)} to {percent(cost.high)})",
        highlight=False,
    )
    with ResultsFolder.open(path, writable=True) as folder:
        rows = folder.table("profiles")
        (row,) = rows[rows["target"] == stamping_overhead.SUBJECT].to_dict("records")
        noted = {str(name): value for name, value in row.items()} | _cost_columns(cost)
        folder.replace_targets("profiles", [noted])


def _line(found: Profiled) -> str:
    """Return what the terminal says of a target: its time, and what takes most of it."""
    profile = found.profile
    longest = sorted(
        (one for one in profile.phases if one.part == REQUEST), key=_median, reverse=True
    )
    parts = [f"{one.phase} {duration(one.median_us)}" for one in longest[:_NAMED]]
    unclear = "" if profile.adds_up else f", {percent(1 - profile.accounted)} unexplained"
    return f"{found.target.name}: {duration(profile.service_us)}{unclear}; {', '.join(parts)}"


def _median(phase: Phase) -> float:
    return phase.median_us


def _conclude(path: Path, failed: Sequence[Profiled], console: Console) -> None:
    with ResultsFolder.open(path, writable=True) as folder:
        if not folder.manifest.plan:
            folder.finish()
    name_report(make_report(path), console)
    if failed:
        names = ", ".join(one.target.name for one in failed)
        raise IsobenchError(
            f"the phases do not add up to the service time: {names}",
            hint="see the phase unexplained in the report, and docs/profiling.md",
            exit_code=1,
        )
