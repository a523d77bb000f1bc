"""What the command `attack` does: every attack on every target, judged and written down."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field
from difflib import get_close_matches
from pathlib import Path
from queue import SimpleQueue
from threading import Event, Lock
from typing import Final, TypeVar

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

import reports
from harness.attack import attempt as attacks
from harness.attack.attempt import Attempt, Outcome
from harness.attack.bystander import Canary
from harness.attack.scene import IDS_OF_A_SEAT, UNFIT, Seat
from harness.commands.doctor import sort_out
from harness.commands.folder import (
    Ground,
    Host,
    argv,
    must_run,
    new_manifest,
    new_run_id,
    now,
    open_or_create,
    report_refused,
    warn_of_change,
)
from harness.errors import Caution, IsobenchError
from harness.host import fingerprint, proc, user_namespace
from harness.progress import live_line
from harness.results.folder import ResultsFolder
from harness.results.rows import AttackRow
from harness.target.run_resources import Belongings
from harness.target.sites import settle
from harness.target.targets import Refusal, Target, choose
from harness.terminal import Terminal
from reports.words.attacks import terminal_matrix
from workloads import tenants
from workloads.attacks import Attack, every

COMMAND: Final = "attack"

One = TypeVar("One")

SEATS = 3
"""How many targets are attacked at the same time. Most of an attack is waiting."""

MOST_LISTED = 10
"""How many names a sentence has, before it counts the rest."""

QUICK_TARGETS = ("dso", "harache", "ruid2")
"""What `--quick` attacks: no isolation, a child for each request, a change that is taken back."""


class Abandoned(BaseException):
    """The command was interrupted: a thread that attacks has to end its server, and itself."""


@dataclass(frozen=True)
class Assault:
    """What is to be done: these attacks on these targets, in an order drawn by the seed.

    `made` are those, by target and attack, that an interrupted command has already made.
    """

    targets: tuple[Target, ...]
    attacks: tuple[Attack, ...]
    seed: int
    made: frozenset[tuple[str, str]] = frozenset()

    def left(self, target: Target) -> list[Attack]:
        """Return what is still to be made on a target, in this target's order."""
        order = attacks.in_random_order(self.attacks, target.name, self.seed)
        return [one for one in order if (target.name, one.name) not in self.made]


Keep = Callable[[Sequence[Attempt]], None]
"""Writes down what became of attacks on one target."""


@dataclass
class Findings:
    """What came of it, as the threads that attack report it.

    `controls` has for each attack where it succeeded; `failed` are those that did not even where
    they must.
    """

    attempts: list[Attempt] = field(default_factory=list)
    controls: dict[str, str] = field(default_factory=dict)
    failed: list[Attempt] = field(default_factory=list)
    harm: list[str] = field(default_factory=list)
    _lock: Lock = field(default_factory=Lock)

    def note(self, attempt: Attempt) -> None:
        """Keep an attempt."""
        with self._lock:
            self.attempts.append(attempt)
            if attempt.outcome is Outcome.SUCCEEDED:
                self.controls.setdefault(attempt.attack.name, attempt.target)

    def note_control(self, attempt: Attempt) -> None:
        """Keep what became of an attack where it must succeed."""
        with self._lock:
            if attempt.outcome is Outcome.SUCCEEDED:
                self.controls[attempt.attack.name] = attempt.target
            else:
                self.failed.append(attempt)

    def note_harm(self, harm: Iterable[str]) -> None:
        """Keep what was done to bystanders."""
        with self._lock:
            self.harm += map(attacks.presentable, harm)

    def errors(self) -> list[Attempt]:
        """Return the attacks that gave no result."""
        return [one for one in self.attempts if one.outcome is Outcome.ERROR]

    def unshown(self) -> list[Attempt]:
        """Return the controls that failed, of attacks whose being blocked they were to support.

        Where an attack can be made nowhere on this host, nothing is claimed of it.
        """
        blocked = {one.attack.name for one in self.attempts if one.outcome is Outcome.BLOCKED}
        return [
            one
            for one in self.failed
            if one.outcome is not Outcome.NOT_APPLICABLE or one.attack.name in blocked
        ]


def start(
    names: Sequence[str], chosen: bool, wanted: Sequence[str], seed: int, out: Path | None
) -> None:
    """Attack targets, write a results folder or add to one, and report. Raises IsobenchError.

    `chosen` says whether the user named the targets; if not, those that this host cannot run are
    skipped. `wanted` are names of attacks or families, none for all.
    """
    console = Terminal()
    selected = select(wanted)
    targets = choose(names)
    _must_have_identities()
    run_id = new_run_id()
    path = out or Path("results") / run_id
    _must_have_room(path)
    with ExitStack() as stack:
        belongings = stack.enter_context(Belongings())
        usable, refused = _sorted_out(targets, chosen, belongings, console)
        assault = Assault(usable, selected, seed)
        ground = Ground(usable, tuple(refused), None, Host(fingerprint.fingerprint(), ()))
        manifest = new_manifest(run_id, ground, seed)
        when = "between the run and the attacks"
        folder = stack.enter_context(open_or_create(path, manifest, when, console))
        folder.note(COMMAND, _record(assault, finished_at=None))
        findings = _attack(assault, folder, belongings, console)
    _conclude(path, assault, findings, console)


def resume(path: Path) -> None:
    """Go on with attacks that were interrupted, in their folder. Raises IsobenchError."""
    console = Terminal()
    _must_have_identities()
    with ExitStack() as stack:
        folder = stack.enter_context(ResultsFolder.open(path, writable=True))
        record = folder.manifest.also.get(COMMAND, {})
        if record.get("finished_at", "") is not None:
            raise IsobenchError(
                f"{path} has no interrupted attacks",
                hint="start anew in another folder: isobench attack --out DIR",
            )
        belongings = stack.enter_context(Belongings())
        usable, _ = _sorted_out(choose(record["targets"]), True, belongings, console)
        when = "before the attacks were resumed"
        warn_of_change(folder, fingerprint.fingerprint(), when, console)
        rows = folder.table("attacks")
        made = frozenset(zip(rows["target"], rows["attack"], strict=True))
        assault = Assault(usable, select(record["attacks"]), record["seed"], made)
        findings = _attack(assault, folder, belongings, console)
    _conclude(path, assault, findings, console)


def _sorted_out(
    targets: Sequence[Target], chosen: bool, belongings: Belongings, console: Console
) -> tuple[tuple[Target, ...], list[Refusal]]:
    """Return the targets that this host can run, and the others, which the user is told of."""
    usable, refused = sort_out(targets, settle(belongings, 2, None))
    report_refused(refused, console)
    must_run(usable, refused, chosen)
    return tuple(usable), refused


def _record(assault: Assault, finished_at: str | None) -> dict[str, object]:
    """Return what run.json says of the command; what it takes to go on with it is in there."""
    return {
        "argv": list(argv()),
        "seed": assault.seed,
        "targets": [target.name for target in assault.targets],
        "attacks": [attack.name for attack in assault.attacks],
        "finished_at": finished_at,
    }


def _attack(
    assault: Assault, folder: ResultsFolder, belongings: Belongings, console: Console
) -> Findings:
    """Make the attacks that are left, write down all of them, and return what came of them.

    What is interrupted loses the attacks under way and nothing else.
    """
    findings = _earlier(assault, folder)
    lock = Lock()

    def keep(attempts: Sequence[Attempt]) -> None:
        with lock:
            if attempts:
                folder.append_table("attacks", _rows(assault, attempts, {}))

    try:
        carry_out(assault, belongings, console, findings, keep)
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
    record = folder.manifest.also[COMMAND]
    finished_at = now()
    folder.note(COMMAND, {**record, "finished_at": finished_at})
    if not folder.manifest.plan and folder.manifest.finished_at is None:
        folder.finish()  # it was made for the attacks
    return findings


def _earlier(assault: Assault, folder: ResultsFolder) -> Findings:
    """Return what was found out before an interruption."""
    known = {attack.name: attack for attack in assault.attacks}
    findings = Findings()
    for row in folder.table("attacks").to_dict("records"):
        findings.note(
            Attempt(
                row["target"],
                known[row["attack"]],
                Outcome(row["outcome"]),
                row["evidence"],
                row["took_s"],
            )
        )
    return findings


def select(wanted: Sequence[str]) -> tuple[Attack, ...]:
    """Return the attacks with these names or of these families. Raises IsobenchError."""
    known = {name for attack in every() for name in (attack.name, attack.family)}
    for name in wanted:
        if name not in known:
            near = get_close_matches(name, known, n=1)
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


def _must_have_room(path: Path) -> None:
    """Raise IsobenchError where no attacks can be written to this folder."""
    if not (path / "run.json").exists():
        ResultsFolder.must_be_free(path)
        return
    folder = ResultsFolder.open(path)
    if folder.manifest.also.get(COMMAND, {}).get("finished_at", "") is None:
        raise IsobenchError(
            f"{path} has interrupted attacks",
            hint=f"continue them: isobench attack --resume {path}",
        )
    if not folder.table("attacks").empty:
        raise IsobenchError(
            f"{path} already has attacks, which are never overwritten",
            hint="choose another folder with --out",
        )


def carry_out(
    assault: Assault, belongings: Belongings, console: Console, findings: Findings, keep: Keep
) -> None:
    """Make all attacks, and the controls of those that no target let succeed.

    What was found out about a target is kept as soon as its attacks are over, or broken off.
    """
    with ExitStack() as stack:
        seats = list(_seats(belongings, stack, min(SEATS, len(assault.targets))))
        free: SimpleQueue[tuple[Seat, Canary]] = SimpleQueue()
        for seat in seats:
            free.put(seat)
        display = stack.enter_context(_progress(console))
        total = sum(len(assault.left(target)) for target in assault.targets)
        task = display.add_task("attacks", total=total)
        executor = stack.enter_context(ThreadPoolExecutor(len(seats)))
        stop = Event()
        stack.callback(stop.set)

        def attack(target: Target) -> None:
            made: list[Attempt] = []

            def watch(attempt: Attempt) -> None:
                if stop.is_set():
                    raise Abandoned
                made.append(attempt)
                findings.note(attempt)
                display.update(task, advance=1, description=f"{attempt.target:<24}")

            try:
                _attack_from(free, target, assault.left(target), watch, findings)
            finally:
                keep(made)

        def control(wanted: Attack) -> None:
            seat, canary = free.get()
            try:
                findings.note_control(attacks.control(seat, wanted))
                findings.note_harm(_harm(seat, canary))
            finally:
                free.put((seat, canary))
            display.update(task, advance=1)

        _on_each(executor, attack, assault.targets, stop)
        weak = [one for one in assault.attacks if one.name not in findings.controls]
        display.update(task, description="controls", total=len(weak), completed=0)
        _on_each(executor, control, weak, stop)


def _on_each(
    executor: ThreadPoolExecutor, act: Callable[[One], None], things: Iterable[One], stop: Event
) -> None:
    def unless_stopped(thing: One) -> None:
        if not stop.is_set():
            act(thing)

    list(executor.map(unless_stopped, things))


def _attack_from(
    free: SimpleQueue[tuple[Seat, Canary]],
    target: Target,
    order: Sequence[Attack],
    watch: attacks.Watch,
    findings: Findings,
) -> None:
    """Attack a target from the next seat that is free. What cannot be cleared away is harm."""
    seat, canary = free.get()
    left = {one.name: one for one in order}

    def count(attempt: Attempt) -> None:
        del left[attempt.attack.name]
        watch(attempt)

    try:
        attacks.attack_all(seat, target, order, count)
        findings.note_harm(_harm(seat, canary))
    except Exception as error:
        findings.note_harm([f"what it left on {target.name} could not be cleared away: {error}"])
        for one in list(left.values()):
            reason = attacks.presentable(f"not made: {error}")
            count(Attempt(target.name, one, Outcome.ERROR, reason, 0.0))
    finally:
        free.put((seat, canary))


def _seats(belongings: Belongings, stack: ExitStack, count: int) -> Iterator[tuple[Seat, Canary]]:
    base = tenants.free_uid_base(count * IDS_OF_A_SEAT - 1)
    for number in range(count):
        directory = belongings.scratch / f"seat-{number}"
        directory.mkdir(mode=0o755)
        first = base + number * IDS_OF_A_SEAT
        seat = Seat(directory, belongings.another_group(number), first)
        yield seat, stack.enter_context(Canary(directory, first + 1))


def _harm(seat: Seat, canary: Canary) -> Iterator[str]:
    """Yield what attacks did beyond their scenes, once these are over."""
    yield from canary.harm()
    for pid in seat.processes.pids() or ():
        yield f"process {pid} was left behind: {proc.status_of(pid).get('Name', 'ended')}"


def _progress(console: Console) -> Progress:
    return live_line(
        console,
        TextColumn("{task.description}", markup=False),
        BarColumn(bar_width=20),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
    )


def _rows(
    assault: Assault, attempts: Iterable[Attempt], controls: Mapping[str, str]
) -> list[dict[str, object]]:
    """Return rows of attacks.parquet, in the order of targets' names and of attacks."""
    place = {attack.name: number for number, attack in enumerate(assault.attacks)}
    runs_as = {target.name: target.runs_as for target in assault.targets}
    return [
        asdict(
            AttackRow(
                target=one.target,
                attack=one.attack.name,
                outcome=str(one.outcome),
                evidence=one.evidence,
                family=one.attack.family,
                title=one.attack.title,
                runs_as=runs_as[one.target],
                control=controls.get(one.attack.name),
                took_s=one.took_s,
            )
        )
        for one in sorted(attempts, key=lambda one: (one.target, place[one.attack.name]))
    ]


def cautions(assault: Assault, findings: Findings) -> Iterator[Caution]:
    """Yield what weakens the results, in words, with what to do about it."""
    for evidence, errors in _by_evidence(findings.errors()):
        yield Caution(
            f"no result of {_listed(one.attack.name for one in errors)} on "
            f"{_listed(one.target for one in errors)}: {evidence}",
            "fix the attack, or what it ran into: docs/adding-an-attack.md",
        )
    if unshown := findings.unshown():
        yield Caution(
            'these attacks succeeded nowhere, not even on their control, so "blocked" proves '
            "nothing: "
            + ", ".join(f"{one.attack.name} (on {one.target}: {one.evidence})" for one in unshown),
            "check whether they work on this host: docs/adding-an-attack.md",
        )
    for reason, remedy in UNFIT.items():
        if unmade := {one.attack.name for one in findings.attempts if one.evidence == reason}:
            yield Caution(
                f"{len(unmade)} of {len(assault.attacks)} attacks were not run: {reason}",
                f"{remedy}; until then the shares count the other attacks only",
            )


def _by_evidence(attempts: Iterable[Attempt]) -> Iterable[tuple[str, list[Attempt]]]:
    found: dict[str, list[Attempt]] = {}
    for one in attempts:
        found.setdefault(one.evidence, []).append(one)
    return found.items()


def _listed(names: Iterable[str]) -> str:
    """Return different names in their order, the first few of many."""
    different = list(dict.fromkeys(names))
    if len(different) <= MOST_LISTED:
        return ", ".join(different)
    return f"{', '.join(different[:MOST_LISTED])} and {len(different) - MOST_LISTED} more"


def _conclude(path: Path, assault: Assault, findings: Findings, console: Console) -> None:
    """Make the report, show the matrix, and fail where the attacks cannot be believed."""
    page = reports.make(path)
    console.print(terminal_matrix(ResultsFolder.open(path).table("attacks"), console.width))
    counted = Counter(attempt.outcome for attempt in findings.attempts)
    console.print(
        f"{len(assault.attacks)} attacks on {len(assault.targets)} targets: "
        + ", ".join(f"{counted[outcome]} {outcome}" for outcome in Outcome if counted[outcome]),
        highlight=False,
    )
    for caution in cautions(assault, findings):
        console.print(f"{caution.about}\n  remedy: {caution.advice}")
    console.print(f"\nreport: {page}", soft_wrap=True)
    must_be_believed(findings)


def must_be_believed(findings: Findings) -> None:
    """Raise IsobenchError where attacks did harm, gave no result, or show nothing."""
    if findings.harm:
        raise IsobenchError(
            f"an attack affected something outside its scene: {findings.harm[0]}",
            hint="this is a fault of isobench: do not use these results, and please report it",
            exit_code=1,
        )
    if errors := findings.errors():
        names = _listed(one.attack.name for one in errors)
        raise IsobenchError(
            f"{len(errors)} of {len(findings.attempts)} attempts gave no result: {names}",
            hint="each is listed above and in the report: docs/adding-an-attack.md",
            exit_code=1,
        )
    if unshown := findings.unshown():
        raise IsobenchError(
            'these attacks succeeded nowhere, not even on their control, so "blocked" proves '
            f"nothing: {', '.join(one.attack.name for one in unshown)}",
            hint="check whether they work on this host: docs/adding-an-attack.md",
            exit_code=1,
        )
    reasons = {one.evidence for one in findings.attempts}
    if reasons and reasons <= UNFIT.keys():
        raise IsobenchError(
            f"none of these attacks can be run here: {', '.join(sorted(reasons))}",
            hint=f"{' and '.join(UNFIT[reason] for reason in sorted(reasons))}, or choose others",
            exit_code=1,
        )
