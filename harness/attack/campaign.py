"""Every attack on every target, several servers at a time, and the controls.

Strategy: the attacks on a target are cut into parts that take seats as these become free, so that
no target keeps all others waiting at the end. Those that share a server stay together. A control is
made by who has nothing else to do, as soon as no part is waiting for a seat, unless the attack has
succeeded by then; in the end those are made that have turned out to be needed.
"""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from queue import SimpleQueue
from threading import Event

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
)

from harness.attack import attempt as attacks
from harness.attack.findings import Assault, Findings, Script
from harness.attack.judgement import Attempt, Outcome, presentable
from harness.attack.seats.bystander import Canary
from harness.attack.seats.operator import Operator
from harness.attack.seats.seat import IDS_OF_A_SEAT, Seat
from harness.host import proc
from harness.progress import live_line
from harness.target.run_resources import RunResources
from harness.target.sites import kept_programs
from harness.target.targets import Target
from workloads.attacks import Attack

_SERVING = "serving"
MOST_JOBS = 64
"""As many servers can be attacked at the same time."""

PART = 24
"""So many attacks that do not share a server are made on a target one after the other."""

_WAITING = 2
"""How many servers wait at any time: for a limit to be over, or for a server to end."""


class Abandoned(BaseException):
    """The command was interrupted: a thread that attacks has to end its server, and itself."""


Keep = Callable[[Sequence[Attempt]], None]
"""Writes down what became of some attacks on one target."""

Part = tuple[Target, Sequence[Attack]]


def usual_jobs() -> int:
    """Return how many servers are attacked at the same time, where nobody says."""
    return min(MOST_JOBS, len(os.sched_getaffinity(0)) + _WAITING)


def carry_out(
    assault: Assault,
    resources: RunResources,
    console: Console,
    findings: Findings,
    keep: Keep,
    jobs: int | None = None,
    keep_control: Callable[[Attempt], None] = lambda _: None,
) -> None:
    """Make all attacks, and the controls of those that no target let succeed.

    What was found out is kept as soon as a part of the attacks on a target is over, or broken off,
    and each control as soon as it has been made. `jobs` is how many servers are attacked at the
    same time; None: `usual_jobs`.
    """
    with ExitStack() as stack:
        modules = [path for target in assault.targets for path in target.modules]
        seats = list(_seats(resources, stack, jobs or usual_jobs(), modules))
        display = stack.enter_context(_progress(console))
        task = display.add_task("attacks", total=sum(map(len, map(assault.left, assault.targets))))
        executor = stack.enter_context(ThreadPoolExecutor(len(seats)))
        campaign = _Campaign(seats, findings, display, task)
        stack.callback(campaign.stop.set)
        parts = [partial(campaign.attack, part, keep) for part in in_parts(assault)]
        scripts = sorted(assault.scripts, key=_takes_little)
        controls = [partial(campaign.control, script, keep_control) for script in scripts]
        campaign.do_all(executor, [*parts, *controls])
        # Which scripts of products have an object, only their attempts have shown.
        campaign.do_all(executor, controls)


class _Campaign:
    """What the threads that attack have in common: seats, findings, and whether to stop."""

    def __init__(
        self,
        seats: Iterable[tuple[Seat, Canary]],
        findings: Findings,
        display: Progress,
        task: TaskID,
    ) -> None:
        self.stop = Event()
        self._free: SimpleQueue[tuple[Seat, Canary]] = SimpleQueue()
        for seat in seats:
            self._free.put(seat)
        self._findings = findings
        self._display = display
        self._task = task
        self._lost: defaultdict[str, list[str]] = defaultdict(list)

    def do_all(self, executor: ThreadPoolExecutor, work: Iterable[Callable[[], None]]) -> None:
        """Do all, in this order, as many at a time as there are threads, unless stopped."""

        def unless_stopped(act: Callable[[], None]) -> None:
            if not self.stop.is_set():
                act()

        list(executor.map(unless_stopped, work))

    def attack(self, part: Part, keep: Keep) -> None:
        """Make a part of the attacks on a target. Raises Abandoned where it is to stop."""
        target, order = part
        made: list[Attempt] = []

        def watch(attempt: Attempt) -> None:
            if self.stop.is_set():
                raise Abandoned
            made.append(attempt)
            self._findings.note(attempt)
            self._display.update(self._task, advance=1, description=f"{attempt.target:<24}")

        try:
            self._attack_from_a_seat(target, order, watch)
        finally:
            keep(made)

    def _attack_from_a_seat(
        self, target: Target, order: Sequence[Attack], watch: attacks.Watch
    ) -> None:
        """Attack from the next seat that is free. What cannot be cleared away is harm."""
        seat, canary = self._free.get()
        left = {one.name: one for one in order}

        def count(attempt: Attempt) -> None:
            del left[attempt.attack.name]
            watch(attempt)

        try:
            attacks.attack_all(seat, target, order, count, self._lost[target.name])
            self._findings.note_harm(_harm(seat, canary))
        except Exception as error:
            words = f"what it left on {target.name} could not be cleared away: {error}"
            self._findings.note_harm([words])
            for one in list(left.values()):
                reason = presentable(f"not made: {error}")
                count(Attempt(target.name, one, Outcome.ERROR, reason, 0.0, target.language))
        finally:
            self._free.put((seat, canary))

    def control(self, script: Script, keep: Callable[[Attempt], None]) -> None:
        """Make an attack where it must succeed, unless it has succeeded anywhere by now."""
        if not self._findings.lacks_control(*script):
            return
        seat, canary = self._free.get()
        self._display.update(self._task, description="controls")
        try:
            made = attacks.control(seat, *script)
            self._findings.note_control(made)
            keep(made)
            self._findings.note_harm(_harm(seat, canary))
        finally:
            self._free.put((seat, canary))


def in_parts(assault: Assault) -> list[Part]:
    """Return the attacks that are left, by target, in parts; those that take longest come first."""
    parts: list[Part] = []
    together: list[Part] = []
    for target in assault.targets:
        left = assault.left(target)
        apart = [one for one in left if not one.shared]
        count = -(-len(apart) // PART)
        parts += [(target, apart[number::count]) for number in range(count)]
        if shared := [one for one in left if one.shared]:
            together.append((target, shared))
    return parts + together


def _takes_little(wanted: Script) -> bool:
    """Return whether an attack that succeeds is over at once: those that are not come first."""
    return not (wanted[0].timed or wanted[0].family == _SERVING)


def _seats(
    resources: RunResources, stack: ExitStack, count: int, modules: Sequence[Path]
) -> Iterator[tuple[Seat, Canary]]:
    base = resources.uids.first_free(count * IDS_OF_A_SEAT - 1)
    programs = kept_programs(resources.scratch)
    for number in range(count):
        directory = resources.scratch / f"seat-{number}"
        directory.mkdir(mode=0o755)
        first = base + number * IDS_OF_A_SEAT
        operator = stack.enter_context(Operator([resources.scratch, *modules]))
        group = resources.another_group(number)
        seat = Seat(directory, group, first, operator, programs)
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
