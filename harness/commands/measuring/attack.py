"""What the command `attack` does: every attack on every target, judged and written down."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict, replace
from difflib import get_close_matches
from pathlib import Path
from threading import Lock
from typing import Any, Final

from rich.console import Console

from harness.attack.campaign import carry_out
from harness.attack.findings import Assault, Findings, cautions, must_be_believed
from harness.attack.judgement import Attempt, Outcome
from harness.commands.groundwork.addition import Addition
from harness.commands.groundwork.beside_products import NO_PRODUCTS, Products
from harness.commands.groundwork.folder import (
    Ground,
    Host,
    argv,
    new_manifest,
    new_run_id,
    open_or_create,
    warn_of_change,
)
from harness.commands.groundwork.report import make_report, name_report
from harness.commands.groundwork.runnable import runnable
from harness.errors import IsobenchError
from harness.host import fingerprint, user_namespace
from harness.results.folder import ResultsFolder
from harness.results.rows import AttackRow
from harness.target.run_resources import RunResources
from harness.target.sites import settle
from harness.target.targets import Target, choose, peers_beside
from harness.terminal import Terminal
from reports.terminal import render_attacks
from reports.words import attack_peers
from workloads.attacks import LANGUAGES, Attack, every

COMMAND: Final = "attack"
_ADDITION: Final = Addition(COMMAND, ("attacks",), "attacks", resumable=True)
CHECKED: Final = "opcache=checked"
"""The factor of products with PHP whose cache asks at each request who may read a script."""
QUICK_TARGETS = ("dso", "harache", "ruid2")
"""What `--quick` attacks: no isolation, a child for each request, a change that is taken back."""


def start(
    names: Sequence[str],
    chosen: bool,
    wanted: Sequence[str],
    seed: int,
    out: Path | None,
    products: Products = NO_PRODUCTS,
    *,
    jobs: int | None = None,
    report: bool = True,
) -> None:
    """Attack targets, write a results folder or add to one, and report. Raises IsobenchError.

    `chosen` says whether the user named the targets; if not, those that this host cannot run are
    skipped, and so are the peers of `products`. `wanted` are names of attacks or families, none for
    all. `jobs` is how many targets are attacked at the same time, None: as many as usual. Without
    `report`, that is left to a later command.
    """
    console = Terminal()
    selected = select(wanted)
    targets = _with_products(names, products)
    _must_have_identities()
    run_id = new_run_id()
    path = out or Path("results") / run_id
    _ADDITION.must_have_room(path)
    with ExitStack() as stack:
        resources = stack.enter_context(RunResources())
        site, needed = settle(resources, 2, None), names if chosen else ()
        usable, refused = runnable(targets, site, console, needed=needed)
        assault = Assault(usable, selected, seed)
        ground = Ground(usable, refused, None, Host(fingerprint.fingerprint(), ()))
        manifest = new_manifest(run_id, ground, seed)
        when = "between the run and the attacks"
        folder = stack.enter_context(open_or_create(path, manifest, when, console))
        folder.note(COMMAND, _record(assault, finished_at=None))
        findings = _attack(assault, Findings(), folder, resources, console, jobs)
    _conclude(path, assault, findings, console, report=report)


def resume(path: Path, *, jobs: int | None = None, report: bool = True) -> None:
    """Continue interrupted attacks in their folder. Raises IsobenchError."""
    console = Terminal()
    _must_have_identities()
    with ExitStack() as stack:
        folder = stack.enter_context(ResultsFolder.open(path, writable=True))
        record = _ADDITION.interrupted(folder)
        assault = _what_was_planned(record, folder)
        findings = _earlier(assault, folder)
        _say_what_is_left(assault, findings, console)
        resources = stack.enter_context(RunResources())
        site = settle(resources, 2, None)
        left = [target for target in assault.targets if assault.left(target)]
        if left:
            usable, _ = runnable(left, site, console, needed=[target.name for target in left])
            able = {target.name: target for target in usable}
            targets = tuple(able.get(target.name, target) for target in assault.targets)
            assault = replace(assault, targets=targets)
        when = "before the attacks were resumed"
        warn_of_change(folder, fingerprint.fingerprint(), when, console)
        findings = _attack(assault, findings, folder, resources, console, jobs)
    _conclude(path, assault, findings, console, report=report)


def _what_was_planned(record: Mapping[str, Any], folder: ResultsFolder) -> Assault:
    """Return the attacks of an interrupted command, with those that are saved."""
    modules = tuple(Path(one) for one in record.get("modules", ()))
    targets = choose(record["targets"], peers=True, modules=modules)
    rows = folder.table("attacks")
    made = frozenset(zip(rows["target"], rows["attack"], strict=True))
    return Assault(tuple(targets), select(record["attacks"]), record["seed"], made)


def _say_what_is_left(assault: Assault, findings: Findings, console: Console) -> None:
    left = sum(len(assault.left(target)) for target in assault.targets)
    controls = sum(findings.lacks_control(*script) for script in assault.scripts)
    console.print(
        f"{len(assault.made)} of {len(assault.made) + left} attacks are saved already; "
        f"at most {controls} controls are left, which show that attacks work",
        highlight=False,
    )


def _with_products(names: Sequence[str], products: Products) -> list[Target]:
    """Return the targets of these names, and the products that stand beside them, if asked for."""
    beside = []
    if products.all_peers:
        beside = [
            name
            for peer in peers_beside(names)
            if peer.language in LANGUAGES
            # Debian's default of the cache leaves open what asking for permissions closes.
            for name in (peer.name, f"{peer.name}:{CHECKED}")[: 2 if peer.caches else 1]
            if name not in names
        ]
    return choose([*names, *beside], peers=True, modules=products.modules)


def _record(assault: Assault, finished_at: str | None) -> dict[str, object]:
    """Return what run.json says of the command; it holds all that --resume needs."""
    return {
        "argv": list(argv()),
        "seed": assault.seed,
        "targets": [target.name for target in assault.targets],
        "modules": sorted({str(one) for target in assault.targets for one in target.modules}),
        "attacks": [attack.name for attack in assault.attacks],
        "finished_at": finished_at,
    }


def _attack(
    assault: Assault,
    findings: Findings,
    folder: ResultsFolder,
    resources: RunResources,
    console: Console,
    jobs: int | None,
) -> Findings:
    """Make the attacks that are left, write down all of them, and return what came of them.

    `findings` are those of before. What is interrupted loses what is under way and nothing else.
    """
    lock = Lock()

    def keep(attempts: Sequence[Attempt]) -> None:
        with lock:
            if attempts:
                folder.append_table("attacks", _rows(assault, attempts, {}))

    def keep_control(made: Attempt) -> None:
        with lock:
            if made.outcome is Outcome.SUCCEEDED:
                record = folder.manifest.also[COMMAND]
                known = {**record.get("controls", {}), made.script: made.target}
                folder.note(COMMAND, {**record, "controls": known})

    try:
        carry_out(assault, resources, console, findings, keep, jobs, keep_control)
    except BaseException:
        planned = len(assault.targets) * len(assault.attacks)
        console.print(
            f"stopped: {len(folder.table('attacks'))} of {planned} attacks are saved; continue "
            f"with: isobench attack --resume {folder.path}",
            soft_wrap=True,
        )
        raise
    folder.replace_targets("attacks", _rows(assault, findings.attempts, findings.controls))
    folder.update(warnings=(*folder.manifest.warnings, *cautions(assault, findings)))
    _ADDITION.finish(folder)
    return findings


def _earlier(assault: Assault, folder: ResultsFolder) -> Findings:
    """Return what was found out before an interruption."""
    known = {attack.name: attack for attack in assault.attacks}
    languages = {target.name: target.language for target in assault.targets}
    findings = Findings()
    for row in folder.table("attacks").to_dict("records"):
        findings.note(
            Attempt(
                row["target"],
                known[row["attack"]],
                Outcome(row["outcome"]),
                row["evidence"],
                row["took_s"],
                languages[row["target"]],
            )
        )
    for script, target in folder.manifest.also[COMMAND].get("controls", {}).items():
        findings.controls.setdefault(script, target)
    return findings


def select(wanted: Sequence[str]) -> tuple[Attack, ...]:
    """Return the attacks with these names or of these families. Raises IsobenchError."""
    known = {name for attack in every() for name in (attack.name, attack.family)}
    for name in wanted:
        if name not in known:
            near = get_close_matches(name.lower(), known, n=1)
            families = ", ".join(dict.fromkeys(attack.family for attack in every()))
            raise IsobenchError(
                f"unknown attack {name!r}",
                hint=f"did you mean {near[0]}?" if near else f"families of attacks: {families}",
            )
    return tuple(
        attack
        for attack in every()
        if not wanted or attack.name in wanted or attack.family in wanted
    )


def _must_have_identities() -> None:
    if os.geteuid() != 0:
        raise IsobenchError(
            "attacks must not run under your own uid, and no other uid is available: "
            f"{user_namespace.obstacle()}",
            hint="run isobench as root, or get a range of ids in /etc/subuid (see isobench doctor)",
        )


def _rows(
    assault: Assault, attempts: Iterable[Attempt], controls: Mapping[str, str]
) -> list[dict[str, object]]:
    """Return rows of attacks.parquet, in the order of targets' names and of attacks."""
    place = {attack.name: number for number, attack in enumerate(assault.attacks)}
    target_of = {target.name: target for target in assault.targets}
    return [
        asdict(
            AttackRow(
                target=one.target,
                attack=one.attack.name,
                outcome=str(one.outcome),
                evidence=one.evidence,
                family=one.attack.family,
                title=one.attack.title,
                runs_as=target_of[one.target].runs_as,
                control=controls.get(one.script),
                took_s=one.took_s,
                language=one.language,
                beside=target_of[one.target].beside,
                precedent=one.attack.precedent or None,
            )
        )
        for one in sorted(attempts, key=lambda one: (one.target, place[one.attack.name]))
    ]


def _conclude(
    path: Path, assault: Assault, findings: Findings, console: Console, *, report: bool = True
) -> None:
    """Make the report, show the matrix, and fail where the attacks cannot be believed."""
    page = make_report(path, wanted=report)
    made = ResultsFolder.open(path).table("attacks")
    console.print(render_attacks(made, console.width))
    if found := attack_peers.pairings(made):
        console.print(attack_peers.terminal_table(found, console.width))
    counted = Counter(attempt.outcome for attempt in findings.attempts)
    console.print(
        f"{len(assault.attacks)} attacks on {len(assault.targets)} targets: "
        + ", ".join(f"{counted[outcome]} {outcome}" for outcome in Outcome if counted[outcome]),
        highlight=False,
    )
    for caution in cautions(assault, findings):
        console.print(f"{caution.about}\n  remedy: {caution.advice}")
    name_report(page, console)
    must_be_believed(findings)
