"""What the master sees of a process from outside."""

import ctypes
import os
import resource
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from servers.front.master.oversight import Condition, Oversight
from servers.kernel import syscalls
from servers.kernel.process_table import descendants, status_of

PR_SET_NAME = 15  # linux/prctl.h
NOTHING = -1


@contextmanager
def process(work: Callable[[], object]) -> Iterator[int]:
    """Run a process that does `work` and then waits."""
    told, tell = os.pipe()
    child = os.fork()
    if child == 0:
        work()
        os.write(tell, b".")
        time.sleep(60)
        os._exit(0)
    try:
        os.read(told, 1)
        yield child
    finally:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        os.close(told)
        os.close(tell)


def named(name: bytes) -> None:
    ctypes.CDLL(None).prctl(PR_SET_NAME, ctypes.create_string_buffer(name), 0, 0, 0)


NAMES = (b"voluntary_ctxt", b"x\nPPid:\t0", b"\rUid:\t0\t0", b") R 1 1 (", b"\xff\x85\x0c", b"")


@pytest.mark.parametrize("name", NAMES)
def test_a_name_is_taken_for_nothing_else(name: bytes) -> None:
    with process(lambda: named(name)) as child:
        status = status_of(child)
        assert int(status[b"PPid"]) == os.getpid()
        assert int(status[b"Uid"].split()[1]) == os.geteuid()
        assert int(status[b"voluntary_ctxt_switches"]) >= 0
        assert descendants(os.getpid()).count(child) == 1


CHANGES: dict[str, Callable[[], object]] = {
    "no_new_privs": lambda: syscalls.prctl(syscalls.PR_SET_NO_NEW_PRIVS, 1),
    "a limit": lambda: resource.setrlimit(resource.RLIMIT_CORE, (0, 0)),
    "a signal ignored": lambda: signal.signal(signal.SIGUSR1, signal.SIG_IGN),
    "a signal blocked": lambda: signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGUSR1]),
    "a descriptor closed": lambda: os.close(0),
}


def handle() -> None:
    signal.signal(signal.SIGUSR1, lambda *_: None)
    resource.setrlimit(resource.RLIMIT_CORE, (1, 1))


@pytest.mark.parametrize("change", CHANGES)
def test_what_lasts_is_noticed_between_two_requests(change: str) -> None:
    def changed() -> None:
        handle()
        CHANGES[change]()

    with process(handle) as first, process(handle) as same, process(changed) as other:
        oversight = Oversight(listener=0)
        oversight.note_first(first)
        assert oversight.finds_fault(same, 0, idle=True) == ""
        assert oversight.finds_fault(other, 0, idle=True) != ""
        # A script's own process, while it runs, is its own affair.
        assert oversight.finds_fault(other, 0, idle=False) == ""
        assert oversight.finds_fault(other, 0, idle=False) == ""
        assert oversight.finds_fault(other, 1, idle=False) != ""


def test_a_stop_counts_at_the_second_look() -> None:
    with process(handle) as child:
        oversight = Oversight(listener=0)
        oversight.note_first(child)
        os.kill(child, signal.SIGSTOP)
        while status_of(child)[b"State"][:1] != b"T":
            time.sleep(0.001)
        looks = [oversight.finds_fault(child, 0, idle=True) for _ in range(2)]
        assert looks[0] == ""
        assert looks[1] != ""


def test_what_the_server_does_not_handle_is_of_no_consequence() -> None:
    def other() -> None:
        handle()
        signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGUSR2])

    with process(handle) as first, process(other) as second:
        conditions = [Condition(one, status_of(one), NOTHING) for one in (first, second)]
        assert conditions[1].is_as_good_as(conditions[0])
