"""What the command `run` does, from its arguments to the report."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import asdict, replace
from pathlib import Path

from rich.console import Console

from harness.commands.groundwork.beside_products import (
    NO_PRODUCTS,
    Products,
    check_scripts,
    share_interpreter,
    with_products,
)
from harness.commands.groundwork.folder import (
    Ground,
    Host,
    new_manifest,
    new_run_id,
    warn_of_change,
)
from harness.commands.groundwork.names import check_names
from harness.commands.groundwork.report import make_report, name_report
from harness.commands.groundwork.runnable import runnable, sort_out
from harness.commands.running import traffic
from harness.commands.running.live_table import LiveTable
from harness.errors import Caution, IsobenchError
from harness.host.cores import Cores, own_cores, running_on
from harness.plan.plan import Plan, Spec
from harness.progress import Display
from harness.results.atomic_file import replace_file
from harness.results.folder import ResultsFolder
from harness.target.run_resources import RunResources
from harness.target.targets import (
    Target,
    available,
    choose,
)
from harness.terminal import can_redraw, styled
from harness.trial import runner
from harness.trial.bench import Bench, Laboratory
from harness.trial.beside import ceiling, crosscheck, knee, mechanisms, page_pace
from harness.trial.generators import telemetry
from harness.trial.outcome import Trial
from reports.terminal import render_table
from reports.words import certainty
from workloads.access_log.trace import Trace


def start(
    plan: Plan,
    chosen: bool,
    out: Path | None,
    console: Console,
    cautions: Sequence[Caution] = (),
    products: Products = NO_PRODUCTS,
    otel: bool = False,
    *,
    made_of: bool = False,
    report: bool = True,
    trace: Trace | None = None,
) -> None:
    """Measure what a plan asks for, into a new results folder, and report.

    `chosen` says whether the user named the targets; if not, those that this host cannot run are
    skipped, and so are the peers of `products`. `cautions` are written down beside those that
    concern the host. With `otel`, generators export to OpenTelemetry. `made_of` has what targets
    are made of measured beside them (see `harness.trial.beside.mechanisms`). Without `report`, that
    is left to a later command. `trace` is there where the plan replays a log. Raises IsobenchError.
    """
    check_names(plan)
    exported = _telemetry(otel)
    run_id = new_run_id()
    folder_path = out or Path("results") / run_id
    ResultsFolder.must_be_free(folder_path)
    for caution in cautions:
        console.print(styled(("warning", "yellow"), f": {caution.about}"))
        console.print(f"  remedy: {caution.advice}")
    named = set(plan.targets)
    targets = with_products(plan.targets, all_peers=products.all_peers, modules=products.modules)
    check_scripts(plan.workloads, targets)
    cautions = (*cautions, *share_interpreter(targets))
    plan = _with_ceilings(plan, targets)
    if made_of:
        plan = replace(plan, mechanisms=mechanisms.of(targets))
    host = Host.examine()
    with ExitStack() as stack:
        resources = stack.enter_context(RunResources())
        cores = own_cores()
        if page_pace.needed(plan.every_workload):
            plan = replace(plan, page_pace=page_pace.measure(cores.server))
        of_log = _trace_in(folder_path, plan)
        made = Laboratory(resources, plan, _all(plan, targets), cores, exported, of_log)
        laboratory = stack.enter_context(made)
        usable, refused = runnable(
            targets,
            laboratory.site,
            console,
            needed=named if chosen else (),
            client=plan.client,
        )
        plan = _with_ceilings(replace(plan, targets=tuple(t.name for t in usable)), usable)
        ground = Ground(usable, refused, cores, host)
        manifest = new_manifest(run_id, ground, plan.seed, plan.to_json())
        on = {one.name: one.interpreter for one in usable if one.interpreter}
        used = {**laboratory.generator_versions, **_tool_versions(plan), **on}
        manifest = replace(manifest, versions={**manifest.versions, **used})
        manifest = replace(manifest, warnings=(*manifest.warnings, *cautions))
        manifest = manifest if trace is None else traffic.nameless(manifest)
        folder = stack.enter_context(ResultsFolder.create(folder_path, manifest))
        if trace is not None:
            replace_file(folder_path / traffic.FILE, trace.to_bytes())
        _measure(plan, laboratory, folder, cores, console)
    conclude(folder_path, console, report=report)


def resume(path: Path, console: Console, otel: bool = False, *, report: bool = True) -> None:
    """Continue an interrupted run in its own folder, as `start` does. Raises IsobenchError."""
    exported = _telemetry(otel)
    with ExitStack() as stack:
        folder = stack.enter_context(ResultsFolder.open(path, writable=True))
        if not folder.manifest.plan:
            raise IsobenchError(
                f"{path} is not the folder of a run, so there is nothing to resume",
                hint="to repeat a profile or costs, use isobench profile or isobench costs",
            )
        plan = Plan.from_json(folder.manifest.plan)
        if folder.manifest.also.get("hosts"):
            raise IsobenchError(
                f"cannot resume {path}: a run on several hosts cannot be resumed",
                hint="start it again: isobench run --target URL, with another --out",
            )
        if not _anything_left(plan, folder):
            console.print("This run is complete: there is nothing left to measure.")
            if folder.manifest.finished_at is None:  # killed between the last trial and the mark
                runner.conclude(plan, folder)
        else:
            host = Host.examine()
            resources = stack.enter_context(RunResources())
            cores = own_cores()
            modules = folder.manifest.arguments.get("module") or ()
            targets = choose(plan.targets, peers=True, modules=[Path(one) for one in modules])
            share_interpreter(targets)
            if plan.replay is not None:
                traffic.of_folder(path, plan.replay)
            of_log = _trace_in(path, plan)
            made = Laboratory(resources, plan, _all(plan, targets), cores, exported, of_log)
            laboratory = stack.enter_context(made)
            _, refused = sort_out(targets, laboratory.site, plan.client)
            if refused:
                raise IsobenchError(
                    f"this host can no longer run {refused[0].target.name}: {refused[0].reason}",
                    hint=refused[0].hint,
                )
            warn_of_change(folder, host.fingerprint, "before the run was resumed", console)
            _measure(plan, laboratory, folder, cores, console)
    conclude(path, console, report=report)


def _trace_in(folder: Path, plan: Plan) -> Path | None:
    """Return where generators find the trace of a log; None where none is replayed."""
    return None if plan.replay is None else (folder / traffic.FILE).resolve()


def _telemetry(wanted: bool) -> dict[str, str] | None:
    """Return the variables of generators that export, None for no export. Raises IsobenchError."""
    if not wanted:
        return None
    telemetry.must_be_possible()
    return telemetry.environment()


def _with_ceilings(plan: Plan, targets: Sequence[Target]) -> Plan:
    """Return the plan with the responders against which the generator itself is measured."""
    return replace(plan, ceilings=ceiling.nulls(target.runs_as for target in targets))


def _all(plan: Plan, targets: Sequence[Target]) -> list[Target]:
    """Return the targets, and the servers of what they are made of."""
    return [*targets, *mechanisms.as_targets(plan, targets)]


def _tool_versions(plan: Plan) -> dict[str, str]:
    tool = plan.cross_check
    return {tool: crosscheck.version(crosscheck.find(tool))} if tool else {}


def _anything_left(plan: Plan, folder: ResultsFolder) -> bool:
    left = (runner.remaining(plan, folder), knee.wanted(plan), _unchecked(plan, folder))
    return any(left)


def _find_knees(plan: Plan, bench: Bench, folder: ResultsFolder, console: Console) -> Plan:
    """Return the plan with the knees of a sweep, which run.json holds from now on."""
    if not knee.wanted(plan):
        return plan

    def failed(trial: Trial) -> None:
        if trial.row.trial not in set(folder.trials()["trial"]):
            folder.append_trial(trial.row)

    console.print("looking for the knee of each target", highlight=False)
    with Display(console, None) as display:
        return knee.find_knees(
            plan, bench, display, lambda plan: folder.update(plan=plan.to_json()), failed
        )


def _unchecked(plan: Plan, folder: ResultsFolder) -> list[Spec]:
    """Return what is still to be cross-checked; nothing where that was not asked for."""
    if plan.cross_check is None:
        return []
    columns = ["target", "workload", "load", "connection"]
    made = folder.table("crosscheck")[columns].itertuples(index=False, name=None)
    return crosscheck.remaining(plan, list(made))


def _cross_check(
    plan: Plan, laboratory: Laboratory, folder: ResultsFolder, console: Console
) -> None:
    left = _unchecked(plan, folder)
    if not left:
        return
    console.print(f"cross-check by {plan.cross_check}: {len(left)} comparisons", highlight=False)
    crosscheck.carry_out(
        left,
        plan,
        laboratory.runs_as,
        laboratory,
        lambda row: folder.append_table("crosscheck", [asdict(row)]),
    )


def _measure(
    plan: Plan, laboratory: Laboratory, folder: ResultsFolder, cores: Cores, console: Console
) -> None:
    # Only now, since the record says which processors the run may use. The harness goes to where
    # the generator is: what it does during a trial must not slow the server down.
    try:
        with running_on(cores.generator):
            plan = _find_knees(plan, laboratory, folder, console)
            with _display(plan, laboratory, folder, console) as display:
                runner.carry_out(plan, laboratory, folder, display)
            _cross_check(plan, laboratory, folder, console)
    except BaseException:
        made = len(folder.trials())
        planned = made + len(runner.remaining(plan, folder))
        of_all = "" if plan.open_ended else f" of {planned}"
        console.print(
            f"stopped: {made}{of_all} trials are saved; continue with: isobench run --resume "
            f"{folder.path}",
            soft_wrap=True,
            highlight=False,
        )
        raise
    runner.conclude(plan, folder)


def _display(
    plan: Plan, laboratory: Laboratory, folder: ResultsFolder, console: Console
) -> Display | LiveTable:
    """Return a table that fills where that can be shown, else what says a line a block."""
    if not can_redraw(console):
        left = None if plan.open_ended else len(runner.remaining(plan, folder))
        return Display(console, left)
    table = LiveTable(console, plan, folder.trials().itertuples())
    laboratory.on_pilot = table.piloted
    return table


def conclude(path: Path, console: Console, *, report: bool = True) -> None:
    """Make the report, show the table, and fail where a trial proved to be wrong."""
    page = make_report(path, wanted=report)
    folder = ResultsFolder.open(path)
    summary = folder.summary()
    console.print(render_table(summary, width=console.width))
    for sentence in (certainty.self_checks(summary), *certainty.stopping(folder.manifest.stopped)):
        console.print(sentence, highlight=False, markup=False)
    name_report(page, console)
    if void := list(runner.voids(folder)):
        trial, verdict = void[0]
        raise IsobenchError(
            f"void trials: {len(void)}; the first is {trial}, {verdict}",
            hint=f"the offending responses are in the column first_error of {path}/trials.parquet",
            exit_code=1,
        )


def every_target() -> tuple[str, ...]:
    """Return the names of all targets, which is what a run measures unless told otherwise."""
    return tuple(target.name for target in available())
