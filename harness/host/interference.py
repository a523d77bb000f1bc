"""Detects whether other work disturbed a trial: checks before, during and after it.

Strategy
========

The best witness is **foreign CPU time**: what the server's core was busy with (/proc/stat), less
what the server itself used (its cgroup). It counts only what really took the core away, and not the
server's own load, however heavy. A **spin probe** detects what it cannot see: a fixed piece of work
on that core just before and after the trial, timed against the run's own best. It reveals a lower
clock, or a neighbour in the same cache or the same core. What a guest cannot see, its hypervisor
reports as **steal** time.

Pressure (PSI) and the number of runnable tasks are recorded and decide nothing: eight workers on
one core wait for each other all the time, so the pressure of a quiet, saturated server is near
100%, and the number of runnable tasks is that of one instant.

A disturbed trial is repeated, once, after the last trial of its block: near enough in time to
be paired with the block's other trials, and cheaper than the whole block. No more are made again
than a third of the trials so far (but always a block's worth). Whether a trial is repeated
depends on these witnesses alone, never on its result, so nothing is selected by what it shows. Of
two attempts the undisturbed one counts, else the second, which stays marked. A trial in which the
server was left no processor to answer a single request is void, and made again in the same way.

Targets that are interleaved in slices meet the same core: a slow core slows all of them alike, and
their comparison stands. Its spin probe is recorded and decides nothing.
"""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from harness.host.cores import running_on

FOREIGN_LIMIT = 0.05
FOREIGN_LEAST_S = 0.04
"""The kernel counts a core's time in ticks of 10 ms: less than a few of these is nothing."""
STEAL_LIMIT = 0.05
SPIN_LIMIT = 1.25
"""How many times as long as at best the spin probe may take. Clocks vary by some percent."""

_PROC_STAT = Path("/proc/stat")
_PRESSURE = Path("/proc/pressure/cpu")
_TICKS = os.sysconf("SC_CLK_TCK")
_SPINS = 3
_ROUNDS = 16_000
_BLOCK = b"\0" * 64


@dataclass(frozen=True)
class Look:
    """One look at the host.

    `busy_s` maps each processor to the seconds it has spent on tasks and interrupts since boot,
    idle and stolen time left out. `pressure_s` is how long some task has waited for a processor,
    None on a kernel that does not report it. `runnable` counts tasks that run or could.
    """

    busy_s: dict[int, float]
    pressure_s: float | None
    runnable: int


@dataclass(frozen=True)
class Noise:
    """What is known about a trial's disturbances; None for unknown.

    Shares are of the measured window; spins are multiples of the run's best.
    """

    foreign_cpu_share: float | None = None
    foreign_cpu_s: float | None = None
    steal_share: float | None = None
    pressure_share: float | None = None
    spin_before: float | None = None
    spin_after: float | None = None


@dataclass(frozen=True)
class Witness:
    """The host without a server: its spin probe, and how many tasks of others were runnable.

    `spin` is None where the server has no core of its own.
    """

    spin: float | None
    runnable: int


def disturbances(noise: Noise, *, slow_core: bool = True) -> Iterator[str]:
    """Describe each sign of disturbance beyond its limit.

    Without `slow_core`, the spin probe is no sign: see the strategy on interleaved targets.
    """
    foreign = noise.foreign_cpu_share or 0.0
    if foreign > FOREIGN_LIMIT and (noise.foreign_cpu_s or 0.0) > FOREIGN_LEAST_S:
        yield f"others took {foreign:.0%} of the server's core"
    if (noise.steal_share or 0.0) > STEAL_LIMIT:
        yield f"the hypervisor took {noise.steal_share:.0%}"
    if not slow_core:
        return
    for when, spin in (("before", noise.spin_before), ("after", noise.spin_after)):
        if (spin or 0.0) > SPIN_LIMIT:
            yield f"the core was {spin:.1f} times slower than at best {when} it"


def during(
    start: Look,
    end: Look,
    cpus: Collection[int],
    seconds: float,
    server_cpu_s: float,
    steal_share: float,
) -> Noise:
    """Return what disturbed a window of so many seconds, in which the server used so much CPU time.

    `cpus` are the server's own processors; none, where it shares them with the generator.
    """
    foreign = foreign_cpu_s(start, end, cpus, server_cpu_s)
    waited = None
    if start.pressure_s is not None and end.pressure_s is not None:
        waited = end.pressure_s - start.pressure_s
    return Noise(
        foreign_cpu_share=None if foreign is None else foreign / (seconds * len(cpus)),
        foreign_cpu_s=foreign,
        steal_share=steal_share,
        pressure_share=None if waited is None else waited / seconds,
    )


def foreign_cpu_s(
    start: Look, end: Look, cpus: Collection[int], server_cpu_s: float
) -> float | None:
    """Return the seconds that others used on the server's processors; None where unknown."""
    if not cpus or not set(cpus) <= start.busy_s.keys() & end.busy_s.keys():
        return None
    busy_s = sum(end.busy_s[cpu] - start.busy_s[cpu] for cpu in cpus)
    return max(0.0, busy_s - server_cpu_s)


def repeatable(block: int, trials_a_block: int, repeated: int) -> int:
    """Return how many more trials may be repeated by the end of this block."""
    return max(0, max(1, block // 3) * trials_a_block - repeated)


def look() -> Look:
    """Look at the host, now."""
    return parse(_PROC_STAT.read_text(), _pressure())


def _pressure() -> str:
    # Where it was built into the kernel and not switched on (psi=1), it may be there and refuse.
    try:
        return _PRESSURE.read_text()
    except OSError:
        return ""


def parse(stat: str, pressure: str) -> Look:
    """Read /proc/stat (proc_stat(5)) and /proc/pressure/cpu (Documentation/accounting/psi.rst)."""
    busy_s: dict[int, float] = {}
    runnable = 0
    for name, *values in map(str.split, stat.splitlines()):
        if name.startswith("cpu") and name != "cpu":
            user, nice, system, _idle, _iowait, irq, softirq, *_ = map(int, values)
            busy_s[int(name.removeprefix("cpu"))] = (user + nice + system + irq + softirq) / _TICKS
        elif name == "procs_running":
            runnable = int(values[0])
    return Look(busy_s, _some_total_s(pressure), runnable)


def _some_total_s(pressure: str) -> float | None:
    for line in pressure.splitlines():
        if line.startswith("some "):
            return int(line.rpartition("total=")[2]) / 1e6
    return None


class SpinProbe:
    """A fixed piece of work on the server's core, in multiples of the best that this run has seen.

    `work` takes a collection of processors and returns seconds.
    """

    def __init__(
        self, cpus: Sequence[int], work: Callable[[Sequence[int]], float] | None = None
    ) -> None:
        self._cpus = cpus
        self._work = work or spin_s
        self._best_s = float("inf")

    def __call__(self) -> float | None:
        """Do the work, while no server is there; None where the server has no core of its own."""
        if not self._cpus:
            return None
        took_s = self._work(self._cpus)
        self._best_s = min(self._best_s, took_s)
        return took_s / self._best_s


def spin_s(cpus: Sequence[int]) -> float:
    """Return the seconds that a fixed calculation takes on these processors: the best of three.

    The best, since it looks not for a single interruption, but for a core that is slower all
    the time. Takes about 5 ms. The calling thread moves there and comes back.
    """
    with running_on(cpus):
        return min(_calculation_s() for _ in range(_SPINS))


def _calculation_s() -> float:
    start = time.perf_counter()
    for _ in range(_ROUNDS):
        hashlib.blake2b(_BLOCK)
    return time.perf_counter() - start
