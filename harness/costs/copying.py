"""What a child costs that touches a Python heap: `heap.py`, started and asked.

CPython keeps the reference count and the collector's links in the objects themselves, so that a
child which only looks at its parent's objects writes to them, and the kernel copies page after
page. gc.freeze() and gc.disable(), before the fork, spare the collector's writes and no others.
"""

from __future__ import annotations

import json
import random
import statistics
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from harness.costs.samples import Facts, Missing, Sample, Subject
from harness.host.cores import running_on
from harness.target.targets import python

NAME: Final = "Python heap"
HOWS: Final = {"plain": "", "freeze": ", gc.freeze", "disable": ", gc.disable"}
TASKS: Final = {
    "exit": "child exits",
    "walk": "child looks at each object",
    "collect": "child collects garbage",
}
ALONE: Final = {
    "walk_alone": "each object looked at, without a child",
    "collect_alone": "garbage collected, without a child",
}
PROCESS: Final = "CPython process"
WITHOUT_HEAP: Final = {
    "thread": "a thread started and joined",
    "handoff": "a byte to another process and back",
}
"""What has nothing to do with a heap, but is done by the same program: in the smallest one."""
_TIMES: Final = 2
_SCRIPT: Final = Path(__file__).with_name("heap.py")


def parameter(mib: int, task: str, how: str) -> str:
    """Return how a row names it."""
    return f"{mib} MiB, {(TASKS | ALONE)[task]}{HOWS[how]}"


def one_round(
    mib: int, how: str, number: int, cpus: tuple[int, ...], chance: random.Random
) -> Iterator[Sample | Missing]:
    """Measure each task once, in random order, in a process of its own."""
    with running_on(cpus):
        process = subprocess.Popen(
            [str(python()), "-I", "-S", str(_SCRIPT), str(mib), how],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={},
        )
    with process:
        assert process.stdin is not None
        assert process.stdout is not None
        if not process.stdout.readline():
            yield Missing(f"{NAME} of {mib} MiB", f"its process ended ({process.wait()})")
            return
        tasks = [*TASKS, *(ALONE if how == "plain" else ())]
        if not mib and how == "plain":
            tasks += WITHOUT_HEAP
        for task in chance.sample(tasks, len(tasks)):
            process.stdin.write(f"{task} {_TIMES}\n")
            process.stdin.flush()
            told = json.loads(process.stdout.readline())
            yield Sample(
                _subject(mib, task, how),
                number,
                statistics.median(told["whole_us"]),
                len(told["whole_us"]),
                Facts(page_faults=statistics.fmean(told["faults"])),
            )


def _subject(mib: int, task: str, how: str) -> Subject:
    if task in WITHOUT_HEAP:
        return Subject("heap", PROCESS, WITHOUT_HEAP[task])
    return Subject("heap", NAME, parameter(mib, task, how), heap_mib=mib)
