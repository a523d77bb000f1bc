"""Waiting for children, some of which are not what was waited for."""

import ctypes
import os
import signal
import time
from collections.abc import Callable

import pytest

from servers.kernel.reaping import await_end, exit_code, has_ended, kill, reap_ended, reap_others
from tests.servers.forked import in_child

PTRACE_TRACEME = 0


def child(work: Callable[[], object]) -> int:
    process = os.fork()
    if process == 0:
        work()
        os._exit(7)
    return process


def make_the_parent_a_tracer_and_stop() -> None:
    ctypes.CDLL(None).ptrace(PTRACE_TRACEME, 0, 0, 0)
    os.kill(os.getpid(), signal.SIGSTOP)


def test_what_ends_meanwhile_is_reaped() -> None:
    def wait() -> tuple[int, list[int]]:
        strays = [child(lambda: None) for _ in range(3)]
        status = await_end(child(lambda: time.sleep(0.2)))
        return exit_code(status), [stray for stray in strays if is_there(stray)]

    assert in_child(wait) == (7, [])


def test_a_child_that_stops_under_its_parent_has_not_ended() -> None:
    status = in_child(lambda: await_end(child(make_the_parent_a_tracer_and_stop)))
    assert has_ended(status)
    assert exit_code(status) == -signal.SIGKILL


def test_signals_without_a_name_are_numbers() -> None:
    last = signal.SIGRTMAX
    status = in_child(lambda: await_end(child(lambda: os.kill(os.getpid(), last))))
    assert exit_code(status) == -last


def test_all_that_have_ended_are_reaped_and_none_is_waited_for() -> None:
    def reap() -> list[bool]:
        living = child(lambda: time.sleep(60))
        strays = [child(lambda: None), child(make_the_parent_a_tracer_and_stop)]
        deadline = time.monotonic() + 10
        while any(map(is_there, strays)) and time.monotonic() < deadline:
            reap_ended()
        found = [is_there(living), *map(is_there, strays)]
        kill(living)
        await_end(living)
        reap_ended()
        return found

    assert in_child(reap) == [True, False, False]


def is_there(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    return True


def test_a_watched_child_is_left_to_who_watches_it_and_the_others_are_reaped() -> None:
    watched, other = child(lambda: None), child(lambda: None)
    told: list[int] = []

    def on_death(process: int) -> None:
        told.append(process)
        os.waitpid(process, 0)

    for process in (watched, other):
        os.waitid(os.P_PID, process, os.WEXITED | os.WNOWAIT)
    reap_others({watched}, on_death)
    assert told == [watched]
    with pytest.raises(ChildProcessError):
        os.waitpid(other, 0)
