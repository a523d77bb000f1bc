"""The kernel's view of a process that we start ourselves, and what its lines mean."""

import os
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from harness.profile import tracefs
from harness.profile.ftrace import CALLS, EVERY_CALL, LIFE, RESOLUTION_NS, Event, KernelView, parsed
from harness.profile.tracefs import NoTracing

LINES = """\
# tracer: nop
#
          python-4906    [000] ...1.  993.864472: sched_process_fork: pid=4906 child_pid=7
   a b - c (d)-77        [011] d..2. 12993.000001: sched_wakeup: x
            true-4908    [001] .....   993.867641: sys_setuid(uid: 5)
            true-4908    [001] .....   993.867650: sys_setuid -> 0x0
"""


def test_lines_become_events() -> None:
    fork, odd, enter, leave = parsed(LINES.splitlines(keepends=True))
    assert fork == Event(993_864_472_000, 4906, "sched_process_fork", "pid=4906 child_pid=7")
    assert (odd.at_ns, odd.thread) == (12_993_000_001_000, 77)
    assert enter == Event(993_867_641_000, 4908, "enter", "setuid")
    assert leave == Event(993_867_650_000, 4908, "exit", "setuid")


@pytest.fixture
def directory() -> Iterator[Path]:
    """Where an instance of tracing can be made; nowhere on hosts that do not allow it."""
    try:
        mount = tracefs.attach()
    except NoTracing as error:
        pytest.skip(str(error))
    yield tracefs.path_of(mount) / "instances" / f"isobench-test-{os.getpid()}"
    os.close(mount)


def test_it_follows_the_children_of_whom_it_is_told_and_nobody_else(directory: Path) -> None:
    with KernelView(directory) as view:
        view.watch([os.getpid()], (*LIFE, *CALLS))
        before = time.monotonic_ns()
        subprocess.run(["true"], check=True)
        after = time.monotonic_ns()
        events = view.stop()
    names = [event.name for event in events if event.detail != "sig=17"]
    assert names.count("sched_process_fork") == names.count("sched_process_exec") == 1
    (fork,) = (event for event in events if event.name == "sched_process_fork")
    (execution,) = (event for event in events if event.name == "sched_process_exec")
    assert fork.thread == os.getpid()
    assert {event.thread for event in events} == {os.getpid(), execution.thread}
    assert f"child_pid={execution.thread}" in fork.detail
    assert all(before - RESOLUTION_NS <= event.at_ns <= after for event in events)
    assert not directory.exists()


def test_it_names_every_call(directory: Path) -> None:
    with KernelView(directory) as view:
        view.watch([os.getpid()], EVERY_CALL)
        os.getppid()
        events = view.stop()
    assert [event.name for event in events if event.detail == "getppid"] == ["enter", "exit"]


def test_an_event_that_the_kernel_does_not_know_is_no_view(directory: Path) -> None:
    with KernelView(directory) as view, pytest.raises(NoTracing, match="sched:no_such_event"):
        view.watch([os.getpid()], ["sched:no_such_event"])
    assert not directory.exists()


def test_where_no_instance_can_be_made_there_is_no_view(tmp_path: Path) -> None:
    with pytest.raises(NoTracing), KernelView(tmp_path / "none" / "there"):
        pass
