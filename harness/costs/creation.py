"""A process of a chosen size that makes others: `creation.c`, started and asked.

Strategy
========

**A process of its own for each size and round.** What fork copies is the page tables of the
process that calls it, so the harness, which is large, must not be that process. It is started
anew in every round, since where its pages lie in memory is drawn at its start and stays.

**The same core for parent and child**, as for a server here: the parent's waiting is the child's
running, and nothing is hidden by a second core.

**A small heap in huge pages is not a small heap.** Linux gives huge pages where asked (madvise(2)),
unless it is told never to or finds none; whether it did is read back from /proc/PID/smaps_rollup.
"""

from __future__ import annotations

import errno
import os
import random
import statistics
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from harness.costs.build import Programs
from harness.costs.effort import Effort
from harness.costs.samples import Facts, Missing, Sample, Subject
from harness.host.cores import running_on

WAYS: Final = {
    "identity": "change of identity and back",
    "thread": "thread",
    "vfork": "vfork",
    "fork": "fork",
    "clone3": "clone3",
    "clone3_into_cgroup": "clone3 into a cgroup",
    "fork_setuid": "fork, setuid",
    "posix_spawn": "posix_spawn of static C",
    "fork_exec_static": "fork, exec of static C",
    "fork_exec_dynamic": "fork, exec of dynamic C",
    "fork_exec_sh": "fork, exec of sh",
    "user_namespace": "clone3, user namespace",
    "pid_namespace": "clone3, pid namespace",
    "mount_namespace": "clone3, mount namespace",
    "net_namespace": "clone3, net namespace",
    "ipc_namespace": "clone3, ipc namespace",
    "uts_namespace": "clone3, uts namespace",
}
"""Each way of `creation.c`, and how results name it."""

_NEED_STATIC = ("posix_spawn", "fork_exec_static")
_LEAST, _MOST = 3, 2000
# A net namespace is taken down by a kernel thread, after its last process is long reaped
# (net/core/net_namespace.c, cleanup_net). What it costs must not fall on the way measured next.
_SETTLE_S: Final = {"net_namespace": 0.05}
_OTHER_ID: Final = 65534  # "nobody": the kernel's own overflow id, which every host has
_HUGE_SHARE: Final = 0.9


def _refusal(number: int) -> str:
    """Return why nothing was created; `creation.c` says EINTR where a signal ended what was."""
    if number == errno.EINTR:
        return "a signal ends the process as soon as it is made"
    return f"the kernel refuses it: {os.strerror(number)}"


class Refused(Exception):
    """A process of this size, or with such pages, cannot be had; the message says why."""


@dataclass(frozen=True)
class Heap:
    """The memory of the process that makes others. `pages`: small or huge."""

    mib: int
    pages: str

    def __str__(self) -> str:
        return f"{self.mib} MiB" + (", huge pages" if self.pages == "huge" else "")


class Creator:
    """A context: on entering the process has its heap, on leaving it is gone."""

    def __init__(self, programs: Programs, heap: Heap, cpus: tuple[int, ...], cgroup: Path | None):
        self._programs = programs
        self._heap = heap
        self._cpus = cpus
        self._cgroup = cgroup

    def __enter__(self) -> Self:
        programs, heap = self._programs, self._heap
        command = [str(programs.creation), str(heap.mib), heap.pages, str(programs.static or "-")]
        command += [str(programs.dynamic), str(_OTHER_ID), str(self._cgroup or "-")]
        with running_on(self._cpus):
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
                env={},
            )
        try:
            self._be_ready()
        except BaseException:
            self.__exit__(None, None, None)
            raise
        return self

    def _be_ready(self) -> None:
        assert self._process.stdout is not None
        assert self._process.stderr is not None
        if not self._process.stdout.readline():
            words = self._process.stderr.read().strip() or f"status {self._process.wait()}"
            raise Refused(f"no process of {self._heap}: {words}")
        if self._heap.pages == "huge":
            share = huge_mib(self._process.pid) / self._heap.mib
            if share < _HUGE_SHARE:
                raise Refused(f"the kernel gave {share:.0%} of {self._heap.mib} MiB in huge pages")

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        # It ends when it has no more to read.
        self._process.__exit__(kind, error, trace)

    def measure(self, way: str, number: int, budget_us: int) -> Sample | Missing:
        """Make and reap processes in one way. `number` is that of the round."""
        name = WAYS[way]
        if self._programs.static is None and way in _NEED_STATIC:
            return Missing(name, "there is no statically linked program")
        if self._cgroup is None and way == "clone3_into_cgroup":
            return Missing(name, "there is no cgroup of version 2 that isobench may use")
        kind, *words = self._ask(f"{way} {_LEAST} {_MOST} {budget_us}").split()
        if kind == "no":
            return Missing(name, _refusal(int(words[0])))
        time.sleep(_SETTLE_S.get(way, 0.0))
        subject = Subject(
            "creation", name, str(self._heap), heap_mib=self._heap.mib, pages=self._heap.pages
        )
        return read_answer(subject, number, words)

    def _ask(self, line: str) -> str:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(line + "\n")
        self._process.stdin.flush()
        return self._process.stdout.readline() or f"no {self._process.wait()}"


def read_answer(subject: Subject, number: int, words: list[str]) -> Sample:
    """Return what a line of `creation.c` says, without its first word. Pure."""
    faults, user_us, system_us = map(float, words[:3])
    calls_ns, wholes_ns = zip(*(map(int, word.split(":")) for word in words[3:]), strict=True)
    facts = Facts(
        call_us=statistics.median(calls_ns) / 1000,
        user_us=user_us,
        system_us=system_us,
        page_faults=faults,
    )
    return Sample(subject, number, statistics.median(wholes_ns) / 1000, len(wholes_ns), facts)


def one_round(
    creator: Creator, number: int, effort: Effort, chance: random.Random
) -> Iterator[Sample | Missing]:
    """Measure each way once, in random order."""
    for way in chance.sample(list(WAYS), len(WAYS)):
        yield creator.measure(way, number, effort.creation_us)


def huge_mib(pid: int) -> float:
    """Return how much of a process's anonymous memory is in huge pages; 0 where none tells."""
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except OSError:
        return 0.0
    return sum(int(line.split()[1]) for line in lines if line.startswith("AnonHugePages:")) / 1024
