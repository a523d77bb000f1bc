"""Launches: stamps lie between exec and exit, failures are named, strace counts what it saw."""

import os
import shutil
import sys
from pathlib import Path

import pytest

from harness.costs import loading
from harness.costs.build import Programs
from harness.costs.effort import QUICK
from harness.costs.interpreters import Launch
from harness.costs.loading import EXIT, FIRST_LINE, Traced, count_calls, launch, read_answer
from harness.costs.samples import Missing, Sample

CPU = max(os.sched_getaffinity(0))
CLOCK = "import time; print(time.monotonic_ns())"


def of(*command: str) -> Launch:
    return Launch("it", "bare", "1.0", command)


def launched(built: Programs, *command: str) -> list[Sample]:
    found = launch(built, of(*command), 1, QUICK, CPU, None)
    assert not isinstance(found, Missing)
    return found


def test_a_script_begins_before_it_ends(built: Programs) -> None:
    first, end = launched(built, sys.executable, "-c", CLOCK)
    assert 0 < first.value_us < end.value_us
    assert first.subject.parameter == f"bare, {FIRST_LINE}"
    assert end.subject.parameter == f"bare, {EXIT}"
    assert first.subject.stamp == "clock"
    assert end.facts.page_faults is not None
    assert end.facts.page_faults > 100
    assert end.facts.memory_mib is not None
    assert end.facts.memory_mib > 4


def test_a_byte_counts_from_when_it_came(built: Programs) -> None:
    first, end = launched(built, "/bin/sh", "-c", "echo .; sleep 0.05")
    assert first.subject.stamp == "byte"
    assert end.value_us > first.value_us + 40_000


@pytest.mark.parametrize("number", ["7", "99999999999999999999"])
def test_a_number_that_is_no_time_of_its_life_is_a_byte(built: Programs, number: str) -> None:
    first, _ = launched(built, "/bin/sh", "-c", f"echo {number}")
    assert first.subject.stamp == "byte"


def test_it_runs_on_the_processor_it_was_given(built: Programs) -> None:
    # A wrong processor would make the script fail, and that would be told.
    wrong = f"import os; assert os.sched_getaffinity(0) == {{{CPU}}}; print('.')"
    assert launched(built, sys.executable, "-c", wrong)


@pytest.mark.parametrize(
    ("command", "reason"),
    [
        (("/nowhere/perl",), "not executed: No such file or directory"),
        (("/bin/sh", "-c", "echo .; exit 3"), "its script did not run (status 3)"),
        (("/bin/sh", "-c", ":"), "its script did not run (status 0)"),
        (("/bin/sh", "-c", "echo .; kill -9 $$"), "its script did not run (status -9)"),
    ],
    ids=["not there", "fails", "says nothing", "killed"],
)
def test_what_does_not_run_is_missing(
    built: Programs, command: tuple[str, ...], reason: str
) -> None:
    found = launch(built, of(*command), 1, QUICK, CPU, None)
    assert isinstance(found, Missing)
    assert found.name == "it bare"
    assert found.reason == reason


def test_what_never_ends_is_missing(built: Programs, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loading, "_PATIENCE_S", 0.1)
    found = launch(built, of("/bin/sleep", "5"), 1, QUICK, CPU, None)
    assert isinstance(found, Missing)
    assert "did not end" in found.reason


def test_nothing_that_python_heeds_is_handed_down(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", "/nowhere")
    assert not [name for name in loading.environment() if name.startswith("PYTHON")]


def test_the_median_of_the_launches_counts() -> None:
    answer = [f"{first}000 {first + 9}000 1 2 30 2048 clock 0" for first in (10, 11, 500)]
    found = read_answer(of("x"), 4, answer, Traced(7, 2))
    assert not isinstance(found, Missing)
    first, end = found
    assert (first.value_us, end.value_us) == (11, 20)
    assert (end.facts.syscalls, end.facts.files_opened, end.facts.memory_mib) == (7, 2, 2)
    assert (first.round, first.repetitions) == (4, 3)


def test_calls_are_counted_once_and_opens_when_they_succeed() -> None:
    record = """\
41    execve("/bin/sh", ["sh"], 0x7ffe /* 3 vars */) = 0
41    openat(AT_FDCWD, "/etc/ld.so.cache", O_RDONLY|O_CLOEXEC) = 3
41    openat(AT_FDCWD, "/nowhere", O_RDONLY) = -1 ENOENT (No such file or directory)
42    openat(AT_FDCWD, "/etc/passwd", O_RDONLY <unfinished ...>
41    wait4(-1,  <unfinished ...>
42    <... openat resumed>)             = 4
41    <... wait4 resumed>NULL, 0, NULL) = 42
41    +++ exited with 0 +++
"""
    assert count_calls(record) == Traced(syscalls=5, files_opened=2)


@pytest.mark.skipif(shutil.which("strace") is None, reason="strace is not installed")
def test_strace_sees_what_an_interpreter_opens(tmp_path: Path, built: Programs) -> None:
    script = tmp_path / "first.sh"
    script.write_text("echo .\n")
    least, shell = of(str(built.dynamic), "tell"), of("/bin/sh", str(script))
    traced, missing = loading.trace([least, shell], tmp_path)
    assert missing == []
    assert traced[least].syscalls < traced[shell].syscalls
    assert traced[least].files_opened < traced[shell].files_opened


def test_without_strace_the_rest_is_measured(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    traced, missing = loading.trace([of("/bin/sh", "-c", ":")], tmp_path)
    assert traced == {}
    assert "apt-get install strace" in missing[0].reason
