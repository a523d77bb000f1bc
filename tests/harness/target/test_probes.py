"""Differences of two readings, and the count of forks from process ids that wrap around."""

import os
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.host.cgroup import NoCgroup
from harness.target import probes
from harness.target.probes import Reading, between, forks_from_ids
from harness.target.server import Server, ServerUsage

TURN = 32468

USAGE = ServerUsage(
    served=10, cpu_s=1.0, page_faults=100, context_switches=200, processes_made=5_000
)
START = Reading(
    at=100.0, server=USAGE, cgroup_cpu_s=2.0, host_forks=1_000, steal_s=1.0, total_s=50.0
)
END = Reading(
    at=102.0,
    server=ServerUsage(
        served=30, cpu_s=1.5, page_faults=140, context_switches=260, processes_made=5_020
    ),
    cgroup_cpu_s=2.75,
    host_forks=1_025,
    steal_s=1.5,
    total_s=54.0,
)


def test_what_was_used_is_the_difference() -> None:
    used = between(START, END)
    assert (used.cpu_s, used.cpu_source) == (0.75, "cgroup")
    assert used.forks == 20
    assert (used.context_switches, used.page_faults) == (60, 40)
    assert used.steal_share == 0.125


def test_without_a_cgroup_the_server_reports_its_own_cpu_time() -> None:
    used = between(replace(START, cgroup_cpu_s=None), replace(END, cgroup_cpu_s=None))
    assert (used.cpu_s, used.cpu_source) == (0.5, "rusage")


def test_without_a_pid_namespace_the_forks_are_those_of_the_host() -> None:
    blind = replace(START, server=replace(USAGE, processes_made=None))
    assert between(blind, END).forks == 25


def test_no_time_between_two_readings_is_no_steal() -> None:
    assert between(START, START).steal_share == 0


@given(
    first=st.integers(0, TURN - 1),
    made=st.integers(0, 20 * TURN),
    noise=st.integers(0, TURN - 1),
)
def test_forks_are_counted_through_any_number_of_turns(first: int, made: int, noise: int) -> None:
    last = (first + made) % TURN
    assert forks_from_ids(first, last, made + noise, TURN) == made


def test_a_host_count_that_lags_behind_takes_nothing_away() -> None:
    assert forks_from_ids(10, 15, 3, TURN) == 5


def test_memory_is_that_of_the_processes() -> None:
    own = probes.memory_mib([os.getpid()])
    assert own > 1
    assert probes.memory_mib([os.getpid(), 2**22 + 1]) == pytest.approx(own, rel=0.5)


def test_a_server_that_has_ended_has_no_processes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Server, "pid", 2**22 + 1)
    assert probes.processes_of(Server.__new__(Server), NoCgroup()) == []
