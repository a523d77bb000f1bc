"""What the command `selftest` does: the harness against itself (see `selftest_verdict`)."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Final

from rich.console import Console
from rich.table import Table
from rich.text import Text

from harness.commands.groundwork.folder import Ground, Host, new_manifest, new_run_id
from harness.errors import IsobenchError
from harness.host.cores import Cores, own_cores, running_on
from harness.host.hog import hog
from harness.plan.plan import Plan, Spec
from harness.progress import Display
from harness.results.atomic_file import replace_file
from harness.results.comparison.compare import change
from harness.results.folder import ResultsFolder
from harness.results.format import NONE, duration, percent, share_range
from harness.results.rows import TrialRow
from harness.target.run_resources import RunResources
from harness.target.targets import Target, choose
from harness.terminal import can_redraw
from harness.trial import runner
from harness.trial.bench import Laboratory
from harness.trial.beside import selftest_verdict
from harness.trial.beside.selftest_verdict import BASELINE, VARIANTS, Outcome, Procedure, Share
from harness.trial.generators.generator import usual_client

FILE: Final = "selftest.json"
_OVERHEAD_S: Final = 0.18
"""What a trial takes besides its load: start the server, verify, stop it, write it down."""

_COLUMNS = ("dso and", "by", "differ in", "share, 95%", "goal", "imposed", "found")
_METRICS = {selftest_verdict.CPU: "CPU/req", selftest_verdict.RATE: "req/s"}


class Counter:
    """Watches a selftest where there is no terminal: a line a comparison, and each void trial."""

    def __init__(self, console: Console, procedure: Procedure) -> None:
        self._console = console
        self._procedure = procedure
        self._seen = 0

    def begins(self, spec: Spec) -> None:
        """Say which comparison begins."""
        number = 1 + (spec.block - 1) // self._procedure.blocks
        if number != self._seen:
            self._console.print(f"comparison {number} of {self._procedure.comparisons}")
        self._seen = number

    def ended(self, spec: Spec, row: TrialRow) -> None:
        """Say at once what went wrong."""
        if row.verdict != "ok":
            self._console.print(f"{spec.trial}: {row.verdict}", highlight=False)


def start(procedure: Procedure, seed: int, out: Path | None, console: Console) -> None:
    """Test the harness, write what was found into a new results folder, and say it.

    Raises IsobenchError, with exit code 1 where a goal is missed or a trial is void.
    """
    run_id = new_run_id()
    path = out or Path("results") / f"selftest-{run_id}"
    ResultsFolder.must_be_free(path)
    (dso,) = choose([BASELINE])
    host = Host.examine()
    cores = own_cores()
    console.print(announcement(procedure), highlight=False)
    client, cautions = usual_client()
    plan = replace(procedure.plan(seed), client=client)
    # What run.json says of the variants does not depend on how much time their slowdowns take.
    ground = Ground(selftest_verdict.targets(dso, 0.0), (), cores, host)
    manifest = new_manifest(run_id, ground, plan.seed, plan.to_json())
    manifest = replace(manifest, warnings=(*manifest.warnings, *cautions))
    with ExitStack() as stack:
        # Where the generator is, as in a run: the harness's own work must not slow the server down.
        stack.enter_context(running_on(cores.generator))
        folder = stack.enter_context(ResultsFolder.create(path, manifest))
        service, pilots_us = _service_us(replace(procedure.pilot(seed), client=client), dso, cores)
        targets = selftest_verdict.targets(dso, service)
        laboratory = stack.enter_context(_laboratory(plan, targets, cores))
        folder.update(versions={**manifest.versions, **laboratory.generator_versions})
        disturbance = hog(cores.server[0], seed) if procedure.disturbed else nullcontext()
        with disturbance, _watcher(console, procedure) as watcher:
            runner.carry_out(plan, laboratory, folder, watcher)
        outcome = selftest_verdict.conclude(procedure, seed, service, pilots_us, folder.trials())
        replace_file(path / FILE, json.dumps(outcome.to_json(), indent=2).encode() + b"\n")
        runner.conclude(plan, folder)
    show(outcome, console)
    console.print(f"each comparison: {path / FILE}", soft_wrap=True, highlight=False)
    refuse(outcome, path)


def announcement(procedure: Procedure) -> str:
    """Return in words what will be done, and how long it takes."""
    seconds = _trials(procedure) * (procedure.seconds + procedure.warmup_s + _OVERHEAD_S)
    text = (
        f"{procedure.comparisons} comparisons of {procedure.blocks} blocks for each of "
        f"{len(VARIANTS)} variants of {BASELINE}: about {max(1, round(seconds / 60))} min"
    )
    if procedure.disturbed:
        text += ", while a hog takes half of the server's core in random bursts"
    if procedure.comparisons < selftest_verdict.ENOUGH:
        text += "\n" + _FEW
    return text


def _trials(procedure: Procedure) -> int:
    return procedure.comparisons * procedure.blocks * (1 + len(VARIANTS))


_FEW = (
    "these are fewer comparisons than the goals are meant for: a goal counts as missed only where "
    "the whole interval misses it"
)


@contextmanager
def _laboratory(plan: Plan, targets: Sequence[Target], cores: Cores) -> Iterator[Laboratory]:
    with RunResources() as resources, Laboratory(resources, plan, targets, cores) as laboratory:
        yield laboratory


def _service_us(pilot: Plan, dso: Target, cores: Cores) -> tuple[float, tuple[float, ...]]:
    baseline, *_ = selftest_verdict.targets(dso, 0.0)
    with _laboratory(pilot, [baseline], cores) as laboratory:
        return selftest_verdict.service_us(laboratory.measure(spec).row for spec in pilot.trials())


@contextmanager
def _watcher(console: Console, procedure: Procedure) -> Iterator[runner.Watcher]:
    if not can_redraw(console):
        yield Counter(console, procedure)
        return
    with Display(console, _trials(procedure)) as display:
        yield display


def show(outcome: Outcome, console: Console) -> None:
    """Print the shares as a table, with what they are to be."""
    console.print(
        f"\n{BASELINE} takes {duration(outcome.service_us)} of CPU a request here; "
        f"seed {outcome.seed}",
        highlight=False,
    )
    table = Table(box=None, pad_edge=False, padding=(0, 1, 0, 0))
    for heading in _COLUMNS:
        table.add_column(heading, no_wrap=True)
    for share in outcome.shares:
        table.add_row(*_cells(share))
    console.print(table)
    if outcome.made < outcome.procedure.comparisons:
        console.print(
            f"the time was over after {outcome.made} of {outcome.procedure.comparisons} "
            "comparisons: trials were made again, or took longer than they should",
            highlight=False,
        )
    if outcome.few:
        console.print(_FEW, highlight=False)


def _cells(share: Share) -> tuple[str | Text, ...]:
    return (
        share.variant.removeprefix(f"{BASELINE}:"),
        _METRICS[share.metric],
        f"{share.called} of {share.comparisons}",
        f"{percent(share.share)} ({share_range(share.low, share.high)})",
        _goal(share),
        change(share.planted),
        change(share.found.mid),
    )


def _goal(share: Share) -> Text:
    if share.met is None:
        return Text(NONE)
    words = f"{'≥' if share.is_planted else '≤'} {share.goal:.0%}"
    return Text(f"{words}: met", "green") if share.met else Text(f"{words}: missed", "red")


def refuse(outcome: Outcome, path: Path) -> None:
    """Raise IsobenchError, exit code 1, where a trial is void or a goal is missed."""
    if outcome.void:
        raise IsobenchError(
            f"void trials: {outcome.void}",
            hint=f"see the columns verdict and first_error of {path}/trials.parquet",
            exit_code=1,
        )
    if missed := outcome.missed():
        said = "; ".join(
            f"{one.variant} was called different in {one.called} of {one.comparisons}, "
            f"{'at least' if one.is_planted else 'at most'} {one.goal:.0%} is the goal"
            for one in missed
        )
        raise IsobenchError(
            f"the harness cannot be trusted with small differences on this host now: {said}",
            hint="see isobench doctor for what disturbs measurements here, and try a quieter hour; "
            "until then use more --blocks and longer trials",
            exit_code=1,
        )
