"""What `run --slo` does: the highest rate at which each target keeps a promise, and resuming it."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, Final

from rich.console import Console

from harness.commands.groundwork.addition import Addition
from harness.commands.groundwork.beside_products import (
    Products,
    check_scripts,
    share_interpreter,
    with_products,
)
from harness.commands.groundwork.folder import (
    add_targets,
    argv,
    new_manifest,
    new_run_id,
    now,
    open_or_create,
    warn_of_change,
)
from harness.commands.groundwork.names import check_names
from harness.commands.groundwork.report import make_report, name_report
from harness.commands.groundwork.runnable import examine_host
from harness.costs.display import Display, about
from harness.errors import Caution, IsobenchError
from harness.host import fingerprint
from harness.host.cores import Cores, own_cores, running_on
from harness.results.analysis import slo as results
from harness.results.atomic_file import replace_file
from harness.results.folder import ResultsFolder
from harness.slo.bench import PromiseBench, plan_of
from harness.slo.effort import Effort, searches
from harness.target.run_resources import RunResources
from harness.target.targets import Target, choose
from harness.trial.beside import page_pace
from reports.words.slo import left_out, sentences, terminal_table

COMMAND: Final = "slo"
_ADDITION: Final = Addition(
    COMMAND, (COMMAND,), "searches for a promise", resumable=True, typed="run"
)


def start(
    effort: Effort,
    names: Sequence[str],
    chosen: bool,
    products: Products,
    out: Path | None,
    console: Console,
    cautions: Sequence[Caution] = (),
    *,
    report: bool = True,
) -> None:
    """Search, write a results folder or add to one, and report. Raises IsobenchError.

    `chosen` says whether the user named the targets; if not, those that this host cannot run are
    skipped. `products` says which real products are measured beside these modes. `cautions` are
    written down beside those that concern the host.
    """
    check_names(plan_of(effort, names))
    run_id = new_run_id()
    path = out or Path("results") / f"slo-{run_id}"
    _ADDITION.must_have_room(path)
    targets = with_products(names, all_peers=products.all_peers, modules=products.modules)
    check_scripts([effort.workload], targets)
    cautions = (*cautions, *share_interpreter(targets))
    cores = own_cores()
    ground = examine_host(targets, cores, console, named=chosen, client=effort.client)
    usable = ground.targets
    if page_pace.needed([effort.workload]):
        effort = replace(effort, page_pace=page_pace.measure(cores.server))
    manifest = new_manifest(run_id, ground, effort.seed)
    manifest = replace(manifest, warnings=(*manifest.warnings, *cautions))
    when = "between the run and the search for a promise"
    with open_or_create(path, manifest, when, console) as folder:
        add_targets(folder, usable)
        folder.note(COMMAND, _record(effort, usable))
        _search(folder, effort, usable, cores, console)
    _show(path, console, report=report)


def is_of_search(path: Path) -> bool:
    """Return whether `--resume` of this folder means a search that was interrupted in it."""
    return _entry(ResultsFolder.open(path)).get("finished_at", "") is None


def resume(path: Path, console: Console, *, report: bool = True) -> None:
    """Continue an interrupted search in its folder. Raises IsobenchError."""
    with ResultsFolder.open(path, writable=True) as folder:
        entry = _ADDITION.interrupted(folder)
        effort = Effort.from_json(entry["effort"])
        when = "before the search for a promise was resumed"
        warn_of_change(folder, fingerprint.fingerprint(), when, console)
        cores = own_cores()
        modules = tuple(Path(one) for one in entry.get("modules", ()))
        targets = choose(entry["targets"], peers=True, modules=modules)
        share_interpreter(targets)
        _search(folder, effort, targets, cores, console)
    _show(path, console, report=report)


def _entry(folder: ResultsFolder) -> Mapping[str, Any]:
    found: Mapping[str, Any] = folder.manifest.also.get(COMMAND, {})
    return found


def _record(effort: Effort, targets: Sequence[Target]) -> dict[str, object]:
    return {
        "argv": list(argv()),
        "seed": effort.seed,
        "targets": [target.name for target in targets],
        "modules": sorted({str(one) for target in targets for one in target.modules}),
        "effort": effort.to_json(),
        "started_at": now(),
        "finished_at": None,
    }


def _search(
    folder: ResultsFolder,
    effort: Effort,
    targets: Sequence[Target],
    cores: Cores,
    console: Console,
) -> None:
    """Make the searches that are left; what is interrupted loses the one under way."""
    with _ADDITION.under_way(folder, console), ExitStack() as stack:
        resources = stack.enter_context(RunResources())
        bench = stack.enter_context(PromiseBench(resources, effort, targets, cores))
        folder.update(versions={**folder.manifest.versions, **bench.generator_versions})
        stack.enter_context(running_on(cores.generator))
        _blocks(folder, effort, [one.name for one in targets], bench, console)


def _blocks(
    folder: ResultsFolder,
    effort: Effort,
    names: Sequence[str],
    bench: PromiseBench,
    console: Console,
) -> None:
    """Make the blocks that are left, as long as each would end within the budget."""
    table = folder.table(COMMAND)
    made = set(zip(table["block"].tolist(), table["target"].tolist(), strict=True))
    left = [one for one in searches(effort, names) if one not in made]
    began, longest_s, block_began = time.monotonic(), 0.0, time.monotonic()
    expected_s = bench.expected_s()
    whole_s = expected_s * len(left)
    total_s = min(effort.budget_s, whole_s)
    limited = f", as many as --budget allows of {about(whole_s)}" if whole_s > total_s else ""
    console.print(
        f"this takes about {about(total_s)} on a quiet host: {len(left)} searches of about "
        f"{expected_s:.0f} s{limited}",
        highlight=False,
    )
    with Display(console, total_s) as display:
        for number, (block, target) in enumerate(left):
            if number and block != left[number - 1][0]:
                longest_s = max(longest_s, time.monotonic() - block_began)
                block_began = time.monotonic()
                if block_began - began + longest_s > effort.budget_s:
                    console.print(f"no time was left for block {block} (--budget)")
                    break
            display.begins(block, target)
            folder.append_table(COMMAND, map(asdict, bench.search(block, target)))
            display.ended(expected_s)


def _show(path: Path, console: Console, *, report: bool) -> None:
    found = results.kept(ResultsFolder.open(path).table(COMMAND))
    text = results.frame(found).to_csv(index=False, float_format="%.6g")
    replace_file(path / "slo.csv", text.encode())
    page = make_report(path, wanted=report)
    console.print(terminal_table(found))
    for sentence in sentences(found):
        console.print(sentence.replace("`", ""), highlight=False, markup=False)
    for line in left_out(found):
        console.print(f"left out: {line}", highlight=False, markup=False)
    name_report(page, console)
    if void := [one for one in found if one.void]:
        raise IsobenchError(
            f"void searches: {sum(one.void for one in found)}; the first is of {void[0].target}: "
            f"{void[0].failed}",
            hint=f"the offending responses are in the column first_error of {path}/slo.parquet",
            exit_code=1,
        )
