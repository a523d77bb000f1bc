"""What the command `attack` does: every attack on every target, judged and written down."""

from __future__ import annotations

import os
import secrets
import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from difflib import get_close_matches
from pathlib import Path
from queue import SimpleQueue
from threading import Event, Lock
from typing import Final

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

import reports
from harness import attacks, machine, privilege, processes
from harness.attacks import Attempt, Outcome
from harness.belongings import Belongings
from harness.canary import Canary
from harness.doctor import sort_out
from harness.errors import IsobenchError
from harness.laboratory import interpreter, settle
from harness.progress import live_line
from harness.results import Manifest, ResultsFolder
from harness.scene import IDS_OF_A_SEAT, Seat
from harness.session import report_refused, warn_of_change
from harness.targets import Refusal, Target, choose
from harness.terminal import Terminal
from reports.hostility import terminal_matrix
from workloads import tenants
from workloads.attacks import Attack, every

COMMAND: Final = "attack"

SEATS = 3
"""How many targets are attacked at the same time. Most of an attack is waiting."""

QUICK_TARGETS = ("dso", "harache", "ruid2")
"""What `--quick` attacks: no isolation, a child for each request, a change that is taken back."""


class Abandoned(Exception):
    """The command was interrupted: a thread that attacks has to end its server, and itself."""


@dataclass(frozen=True)
class Assault:
    """What is to be done: these attacks on these targets, in an order drawn by the seed."""

    targets: tuple[Target, ...]
    attacks: tuple[Attack, ...]
    seed: int


@dataclass
class Findings:
    """What came of it, as the threads that attack report it."""

    attempts: list[Attempt] = field(default_factory=list)
    controls: dict[str, str] = field(default_factory=dict)
    harm: list[str] = field(default_factory=list)
    _lock: Lock = field(default_factory=Lock)

    def note(self, attempt: Attempt) -> None:
        """Keep an attempt."""
        with self._lock:
            self.attempts.append(attempt)

    def note_harm(self, harm: Iterable[str]) -> None:
        """Keep what was done to bystanders."""
        with self._lock:
            self.harm += harm


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
    run_id = f"{datetime.now(UTC):%Y%m%dT%H%M%SZ}-{secrets.token_hex(2)}"
    path = out or Path("results") / run_id
    _must_have_room(path)
    with ExitStack() as stack:
        belongings = stack.enter_context(Belongings())
        usable, refused = sort_out(targets, settle(belongings, 2, None))
        report_refused(refused, console)
        if not usable or (chosen and refused):
            raise IsobenchError(
                f"this host cannot run {refused[0].target.name}: {refused[0].reason}",
                hint=refused[0].hint,
            )
        assault = Assault(tuple(usable), selected, seed)
        folder = stack.enter_context(_folder(path, run_id, assault, refused, console))
        findings = carry_out(assault, belongings, console)
        _write(folder, assault, findings)
    _conclude(path, assault, findings, console)


def select(wanted: Sequence[str]) -> tuple[Attack, ...]:
    """Return the attacks with these names or of these families. Raises IsobenchError."""
    known = {name for attack in every() for name in (attack.name, attack.family)}
    for name in wanted:
        if name not in known:
            near = get_close_matches(name, known, n=1)
            families = ", ".join(dict.fromkeys(attack.family for attack in every()))
            raise IsobenchError(
                f"there is no attack {name!r}",
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
            f"attacks must not run under your own uid, and there is no other: "
            f"{privilege.obstacle()}",
            hint="run isobench as root, or have a range in /etc/subuid (see isobench doctor)",
        )


def _must_have_room(path: Path) -> None:
    """Raise IsobenchError where no attacks can be written to this folder."""
    if not (path / "run.json").exists():
        ResultsFolder.must_be_free(path)
    elif not ResultsFolder.open(path).table("attacks").empty:
        raise IsobenchError(
            f"{path} already holds attacks, which are never overwritten",
            hint="choose another folder with --out",
        )


@contextmanager
def _folder(
    path: Path, run_id: str, assault: Assault, refused: Sequence[Refusal], console: Console
) -> Iterator[ResultsFolder]:
    """Open the folder of an earlier run, or start a new one."""
    if (path / "run.json").exists():
        with ResultsFolder.open(path, writable=True) as folder:
            when = "after the run, when attacks were made"
            warn_of_change(folder, machine.fingerprint(), when, console)
            yield folder
        return
    manifest = Manifest(
        run_id=run_id,
        isobench=machine.own_version(),
        commit=machine.own_commit(),
        started_at=datetime.now(UTC).isoformat(timespec="seconds"),
        argv=("isobench", *sys.argv[1:]),
        arguments={},
        seed=assault.seed,
        plan={},
        machine=machine.fingerprint(),
        versions=machine.versions(),
        targets=tuple(target.record for target in assault.targets),
        skipped=tuple(refusal.record for refusal in refused),
        interpreter=interpreter(),
        cores={},
    )
    with ResultsFolder.create(path, manifest) as folder:
        yield folder
        folder.finish()


def carry_out(assault: Assault, belongings: Belongings, console: Console) -> Findings:
    """Make all attacks, and the controls of those that no target let succeed."""
    findings = Findings()
    with ExitStack() as stack:
        seats = list(_seats(belongings, stack, min(SEATS, len(assault.targets))))
        free: SimpleQueue[tuple[Seat, Canary]] = SimpleQueue()
        for seat in seats:
            free.put(seat)
        display = stack.enter_context(_progress(console))
        task = display.add_task("attacks", total=len(assault.targets) * len(assault.attacks))
        executor = stack.enter_context(ThreadPoolExecutor(len(seats)))
        stop = Event()
        stack.callback(stop.set)

        def watch(attempt: Attempt) -> None:
            if stop.is_set():
                raise Abandoned
            findings.note(attempt)
            display.update(task, advance=1, description=f"{attempt.target:<24}")

        def attack(target: Target) -> None:
            if stop.is_set():
                return
            seat, canary = free.get()
            order = attacks.in_random_order(assault.attacks, target.name, assault.seed)
            try:
                attacks.attack_all(seat, target, order, watch)
                findings.note_harm(_harm(seat, canary))
            finally:
                free.put((seat, canary))

        list(executor.map(attack, assault.targets))
        weak = attacks.uncontrolled(findings.attempts, assault.attacks)
        display.update(task, description="controls", total=len(weak), completed=0)

        def control(wanted: Attack) -> None:
            if stop.is_set():
                return
            seat, canary = free.get()
            try:
                attempt = attacks.control(seat, wanted)
                findings.note_harm(_harm(seat, canary))
            finally:
                free.put((seat, canary))
            if attempt.outcome is Outcome.SUCCEEDED:
                findings.controls[wanted.name] = attempt.target
            display.update(task, advance=1)

        list(executor.map(control, weak))
    for attempt in findings.attempts:
        if attempt.outcome is Outcome.SUCCEEDED:
            findings.controls.setdefault(attempt.attack.name, attempt.target)
    return findings


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
        yield f"process {pid} was left behind: {processes.status_of(pid).get('Name', 'ended')}"


def _progress(console: Console) -> Progress:
    return live_line(
        console,
        TextColumn("{task.description}", markup=False),
        BarColumn(bar_width=20),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
    )


def _write(folder: ResultsFolder, assault: Assault, findings: Findings) -> None:
    place = {attack.name: number for number, attack in enumerate(assault.attacks)}
    runs_as = {target.name: target.runs_as for target in assault.targets}
    ordered = sorted(findings.attempts, key=lambda one: (one.target, place[one.attack.name]))
    folder.append_table(
        "attacks",
        [
            {
                "target": one.target,
                "attack": one.attack.name,
                "outcome": str(one.outcome),
                "evidence": one.evidence,
                "family": one.attack.family,
                "title": one.attack.title,
                "runs_as": runs_as[one.target],
                "control": findings.controls.get(one.attack.name),
                "took_s": one.took_s,
            }
            for one in ordered
        ],
    )
    folder.note(COMMAND, {"argv": ["isobench", *sys.argv[1:]], "seed": assault.seed})


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
    console.print(f"\nreport: {page}", soft_wrap=True)
    if findings.harm:
        raise IsobenchError(
            f"an attack reached beyond its scene: {findings.harm[0]}",
            hint="this is a fault of isobench: do not use these results, and please report it",
            exit_code=1,
        )
    if missing := [one.name for one in assault.attacks if one.name not in findings.controls]:
        raise IsobenchError(
            f"attacks that never succeeded, so that their being blocked shows nothing: "
            f"{', '.join(missing)}",
            hint="see whether they work on this host: docs/adding-an-attack.md",
            exit_code=1,
        )
