"""What the command `replay` does: the run of a bundle, made again beside the original."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from rich.console import Console

import reports
from harness.commands.groundwork.beside_products import Products
from harness.commands.groundwork.folder import new_run_id
from harness.commands.running import run, traffic
from harness.errors import IsobenchError
from harness.plan.plan import Plan
from harness.results import bundle
from harness.results.comparison.compare import METRICS, compare
from harness.results.folder import ResultsFolder
from reports.comparison.table import render


def start(archive: Path, out: Path | None, console: Console) -> None:
    """Repeat the run of a bundle into `out`; the original is unpacked to a folder beside it.

    The plan is the original's, its seed included; what this host cannot run is left out. Raises
    IsobenchError.
    """
    path = out or Path("results") / f"replay-{new_run_id()}"
    ResultsFolder.must_be_free(path)
    original = bundle.unpack(archive, path.with_name(f"{path.name}-original"))
    found = ResultsFolder.open(original)
    console.print(f"original: {original}", soft_wrap=True)
    modules = found.manifest.arguments.get("module") or ()
    products = Products(modules=tuple(one for one in map(Path, modules) if one.exists()))
    plan = plan_of(found, archive)
    trace = None if plan.replay is None else traffic.of_folder(original, plan.replay)
    run.start(plan, False, path, console, products=products, trace=trace)
    beside(original, path, console)


def plan_of(original: ResultsFolder, archive: Path) -> Plan:
    """Return the plan to repeat: without what a run finds out itself. Raises IsobenchError."""
    if not original.manifest.plan:
        raise IsobenchError(
            f"{archive} holds no run, so there is nothing to repeat",
            hint=f"see its report: {original.path / 'report.html'}",
        )
    return replace(Plan.from_json(original.manifest.plan), knees=(), ceilings=(), page_pace=None)


def beside(original: Path, path: Path, console: Console) -> None:
    """Show the repeated run as NEW beside the original, whatever machine that was made on."""
    base, new = (ResultsFolder.open(one).measured(METRICS) for one in (original, path))
    console.print(render(compare(base, new, force=True), console.width))
    console.print(f"report: {reports.make(path, original, force=True)}", soft_wrap=True)
