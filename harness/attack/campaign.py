"""Every attack on every target, several targets at a time, and then the controls."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from queue import SimpleQueue
from threading import Event
from typing import TypeVar

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from harness.attack import attempt as attacks
from harness.attack.attempt import Attempt, Outcome
from harness.attack.bystander import Canary
from harness.attack.findings import Assault, Findings
from harness.attack.operator import Operator
from harness.attack.seat import IDS_OF_A_SEAT, Seat
from harness.host import proc
from harness.progress import live_line
from harness.target.run_resources import RunResources
from harness.target.targets import Target
from workloads.attacks import Attack

One = TypeVar("One")
_SERVING = "serving"
NOT_APPLICABLE = Outcome.NOT_APPLICABLE
MOST_JOBS = 64
"""As many targets can be attacked at the same time."""

_WAITING = 2
"""How many of them wait at any time: for a limit to be over, or for a server to end."""


class Abandoned(BaseException):
    """The command was interrupted: a thread that attacks has to end its server, and itself."""


Keep = Callable[[Sequence[Attempt]], None]
"""Writes down what became of attacks on one target."""


def usual_jobs() -> int:
    """Return how many targets are attacked at the same time, where nobody says."""
    return min(MOST_JOBS, len(os.sched_getaffinity(0)) + _WAITING)


def carry_out(
    assault: Assault,
    resources: RunResources,
    console: Console,
    findings: Findings,
    keep: Keep,
    jobs: int | None = None,
) -> None:
    """Make all attacks, and the controls of those that no target let succeed.

    What was found out about a target is kept as soon as its attacks are over, or broken off. `jobs`
    is how many are attacked at the same time, and as many controls; None: `usual_jobs`.
    """
    with ExitStack() as stack:
        modules = [path for target in assault.targets for path in target.modules]
        seats = list(_seats(resources, stack, jobs or usual_jobs(), modules))
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

        def control(wanted: tuple[Attack, str]) -> None:
            seat, canary = free.get()
            try:
                findings.note_control(attacks.control(seat, *wanted))
                findings.note_harm(_harm(seat, canary))
            finally:
                free.put((seat, canary))
            display.update(task, advance=1)

        _on_each(executor, attack, assault.targets, stop)
        made = {one.script for one in findings.attempts if one.outcome is not NOT_APPLICABLE}
        weak = [
            (one, language)
            for one, language in assault.scripts
            if (script := one.script_in(language)) not in findings.controls
            if language == "python" or script in made
        ]
        weak.sort(key=_takes_little)
        display.update(task, description="controls", total=len(weak), completed=0)
        _on_each(executor, control, weak, stop)


def _takes_little(wanted: tuple[Attack, str]) -> bool:
    """Return whether an attack that succeeds is over at once: those that are not come first."""
    return not (wanted[0].timed or wanted[0].family == _SERVING)


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
            count(Attempt(target.name, one, Outcome.ERROR, reason, 0.0, target.language))
    finally:
        free.put((seat, canary))


def _seats(
    resources: RunResources, stack: ExitStack, count: int, modules: Sequence[Path]
) -> Iterator[tuple[Seat, Canary]]:
    base = resources.uids.first_free(count * IDS_OF_A_SEAT - 1)
    for number in range(count):
        directory = resources.scratch / f"seat-{number}"
        directory.mkdir(mode=0o755)
        first = base + number * IDS_OF_A_SEAT
        operator = stack.enter_context(Operator([resources.scratch, *modules]))
        seat = Seat(directory, resources.another_group(number), first, operator)
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
