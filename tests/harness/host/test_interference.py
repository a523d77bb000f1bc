"""What counts as a disturbance, from made-up numbers and from a real one."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from harness.host import interference
from harness.host.interference import (
    Look,
    Noise,
    SpinProbe,
    disturbances,
    during,
    foreign_cpu_s,
    look,
    parse,
    repeatable,
)

QUIET = Noise(
    foreign_cpu_share=0.01, foreign_cpu_s=0.02, steal_share=0.0, pressure_share=0.97,
    spin_before=1.02, spin_after=1.1,
)  # fmt: skip

STAT = """\
cpu  100 0 50 900 0 0 10 5 0 0
cpu0 60 0 20 400 0 0 4 5 0 0
cpu3 40 2 30 500 7 1 6 0 0 0
intr 1 2 3
procs_running 3
procs_blocked 0
"""


def test_a_quiet_trial_is_not_disturbed_by_its_own_pressure() -> None:
    assert list(disturbances(QUIET)) == []
    assert list(disturbances(Noise())) == []


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"foreign_cpu_share": 0.17, "foreign_cpu_s": 0.3}, "others took 17% of the server's core"),
        ({"steal_share": 0.08}, "the hypervisor took 8%"),
        ({"spin_before": 1.31}, "the core was 1.3 times slower than at best before it"),
        ({"spin_after": 2.0}, "the core was 2.0 times slower than at best after it"),
    ],
)
def test_each_sign(changes: dict[str, float], said: str) -> None:
    assert list(disturbances(replace(QUIET, **changes))) == [said]


def test_a_core_that_is_slow_for_all_alike_disturbs_no_comparison() -> None:
    noise = replace(QUIET, spin_before=1.7, spin_after=1.7, steal_share=0.08)
    assert list(disturbances(noise, slow_core=False)) == ["the hypervisor took 8%"]


def test_a_few_ticks_are_nothing() -> None:
    short = replace(QUIET, foreign_cpu_share=0.1, foreign_cpu_s=0.03)
    assert list(disturbances(short)) == []


def test_the_kernels_words() -> None:
    seen = parse(STAT, "some avg10=0.25 avg60=2.90 avg300=7.80 total=1500000\nfull total=0\n")
    ticks = os.sysconf("SC_CLK_TCK")
    assert seen == Look({0: 84 / ticks, 3: 79 / ticks}, 1.5, 3)
    assert parse(STAT, "").pressure_s is None


def test_foreign_time_is_what_is_left_of_the_servers_core() -> None:
    start, end = Look({0: 10.0, 1: 20.0}, 1.0, 1), Look({0: 11.0, 1: 21.9}, 2.9, 1)
    assert foreign_cpu_s(start, end, [1], 1.5) == pytest.approx(0.4)
    assert foreign_cpu_s(start, end, [1], 2.0) == 0.0
    noise = during(start, end, [1], 2.0, 1.5, 0.01)
    assert noise.foreign_cpu_share == pytest.approx(0.2)
    assert noise.pressure_share == pytest.approx(0.95)
    assert noise.steal_share == 0.01


@pytest.mark.parametrize("cpus", [(), (7,)])
def test_without_a_core_of_its_own_nothing_is_said(cpus: tuple[int, ...]) -> None:
    start, end = Look({0: 10.0}, None, 1), Look({0: 11.0}, None, 1)
    assert foreign_cpu_s(start, end, cpus, 0.5) is None
    assert during(start, end, cpus, 1.0, 0.5, 0.0).pressure_share is None


def test_a_third_of_the_trials_may_be_made_again() -> None:
    assert repeatable(1, 10, 0) == 10
    assert repeatable(5, 10, 7) == 3
    assert repeatable(6, 10, 7) == 13
    assert repeatable(5, 10, 12) == 0


def test_the_spin_probe_counts_in_the_runs_best() -> None:
    times = iter([2.0, 1.0, 1.5, 0.5])
    spin = SpinProbe([3], lambda _cpus: next(times))
    assert [spin() for _ in range(4)] == [1.0, 1.0, 1.5, 1.0]
    assert SpinProbe([])() is None


def test_the_spin_probe_comes_back() -> None:
    before = os.sched_getaffinity(0)
    assert interference.spin_s([max(before)]) > 0
    assert os.sched_getaffinity(0) == before


def test_a_kernel_that_has_pressure_switched_off_can_be_looked_at(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(interference, "_PRESSURE", tmp_path)  # it is there, and reading it fails
    assert look().pressure_s is None


@contextmanager
def busy(cpu: int) -> Iterator[None]:
    with subprocess.Popen(
        [sys.executable, "-c", "print(flush=True)\nwhile True: pass"], stdout=subprocess.PIPE
    ) as process:
        try:
            os.sched_setaffinity(process.pid, {cpu})
            assert process.stdout is not None
            process.stdout.readline()
            yield
        finally:
            process.kill()


def test_a_busy_process_on_the_core_is_noticed() -> None:
    cpu = max(os.sched_getaffinity(0))
    with busy(cpu):
        start, began = look(), time.monotonic()
        time.sleep(0.4)
        end, seconds = look(), time.monotonic() - began
    noise = during(start, end, [cpu], seconds, 0.0, 0.0)
    # Whoever else runs there takes it from the process, not from what is foreign to the server.
    assert noise.foreign_cpu_share is not None
    assert noise.foreign_cpu_share > 0.5
    assert any("others took" in sign for sign in disturbances(noise))
