"""What the command `neighbour` does: quiet tenants beside noisy ones, from wish to report."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import asdict, replace
from pathlib import Path
from typing import Final

from rich.console import Console

from harness.commands.groundwork.addition import Addition
from harness.commands.groundwork.folder import (
    argv,
    new_manifest,
    new_run_id,
    now,
    open_or_create,
)
from harness.commands.groundwork.report import make_report, name_report
from harness.commands.groundwork.runnable import examine_host
from harness.costs.display import Display, about
from harness.errors import IsobenchError
from harness.host.cores import own_cores, running_on
from harness.neighbour import effort as efforts
from harness.neighbour.effort import Effort, Series
from harness.neighbour.measure import Neighbourhood
from harness.neighbour.noises import Noise
from harness.results.folder import ResultsFolder
from harness.target.run_resources import RunResources
from harness.target.targets import choose
from reports.terminal import render_neighbour

COMMAND: Final = "neighbour"
_ADDITION: Final = Addition(COMMAND, (COMMAND,), "noisy neighbours")
QUICK_TARGETS: Final = ("dso", "harache", "fastcgi")
"""What `--quick` measures: no isolation, a child for each request, a worker for each tenant."""
LIMITS: Final = ("off", "on", "both")


def start(
    effort: Effort,
    names: Sequence[str],
    chosen: bool,
    noises: Sequence[Noise],
    limited: str,
    seed: int,
    out: Path | None,
    console: Console,
) -> None:
    """Measure, write neighbour.parquet, and make the report. Raises IsobenchError.

    Into the folder of an earlier run, if `out` is one without it; else into a new one. `chosen`
    says whether the user named the targets. `limited` is one of `LIMITS`.
    """
    if limited not in LIMITS:
        raise IsobenchError(
            f"unknown value of --limits {limited!r}", hint=f"choose one of {', '.join(LIMITS)}"
        )
    targets = choose(names)
    run_id = new_run_id()
    path = out or Path("results") / f"neighbour-{run_id}"
    _ADDITION.must_have_room(path)
    cores = own_cores()
    ground = examine_host(targets, cores, console, named=chosen)
    usable = ground.targets
    with ExitStack() as stack:
        resources = stack.enter_context(RunResources())
        place = stack.enter_context(Neighbourhood(resources, effort, usable, cores, seed))
        manifest = new_manifest(run_id, ground, seed)
        manifest = replace(manifest, versions={**manifest.versions, **place.generator_versions})
        when = "between the run and the noise"
        folder = stack.enter_context(open_or_create(path, manifest, when, console))
        passes = _passes(limited, place.means)
        run_as = {one.name: one.runs_as for one in usable}
        plan = efforts.plan(effort, run_as, noises, passes, seed)
        record = {
            "argv": list(argv()), "seed": seed, "started_at": now(), "finished_at": None,
            **asdict(effort), "noises": {one.name: one.title for one in noises},
            "limited_by": list(place.means),
        }  # fmt: skip
        folder.note(COMMAND, record)
        with running_on(cores.generator):
            _measure(plan, effort, place, folder, console)
        _ADDITION.finish(folder)
    page = make_report(path)
    console.print(render_neighbour(ResultsFolder.open(path).table(COMMAND)))
    name_report(page, console)


def _passes(limited: str, means: tuple[str, ...]) -> list[tuple[str, ...]]:
    """Return what limits the tenants in each pass over the noises, () for nothing."""
    return [*([()] if limited != "on" else []), *([means] if limited != "off" else [])]


def _measure(
    plan: Sequence[Sequence[Series]],
    effort: Effort,
    place: Neighbourhood,
    folder: ResultsFolder,
    console: Console,
) -> None:
    """Measure all series; what is interrupted loses the one under way and nothing else."""
    every = [one for block in plan for one in block]
    expected_s = sum(effort.expected_s(1 + len(one.noises)) for one in every)
    windows = sum(1 + len(one.noises) for one in every)
    console.print(
        f"this takes about {about(expected_s)} on a quiet host: {windows} windows of "
        f"{effort.seconds:g} s on {len(every)} servers",
        highlight=False,
    )
    with Display(console, expected_s) as display:
        for one in every:
            display.begins(one.block, f"{one.target}, limits: {one.limits}")
            folder.append_table(COMMAND, [asdict(row) for row in place.measure(one)])
            display.ended(effort.expected_s(1 + len(one.noises)))
