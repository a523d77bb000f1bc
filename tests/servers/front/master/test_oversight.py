"""What the master sees of a process from outside."""

import os
import resource
import signal
from collections.abc import Callable

import pytest

from harness.host.polling import wait_until
from servers.front.master.oversight import Condition, Oversight
from servers.kernel import syscalls
from servers.kernel.process_table import status_of
from tests.servers.forked import process

NOTHING = -1


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
        looks = [oversight.finds_fault(other, served, idle=False) for served in range(1, 6)]
        assert looks[-1] != ""
        assert (looks[0] != "") == (change != "a signal blocked")


def test_signals_that_are_blocked_while_programs_begin_are_no_fault() -> None:
    def change() -> None:
        handle()
        signal.signal(signal.SIGUSR2, blocks)
        signal.signal(signal.SIGHUP, lambda *_: signal.pthread_sigmask(signal.SIG_SETMASK, []))

    def blocks(*_: object) -> None:
        signal.pthread_sigmask(signal.SIG_SETMASK, [signal.SIGUSR1])

    def is_blocked(child: int) -> bool:
        return bool(int(status_of(child)[b"SigBlk"], 16) & 1 << (signal.SIGUSR1 - 1))

    def turn(child: int, number: int, *, blocked: bool) -> None:
        os.kill(child, number)
        assert wait_until(lambda: is_blocked(child) is blocked, 30)

    with process(handle) as first, process(change) as other:
        oversight = Oversight(listener=0)
        oversight.note_first(first)
        turn(other, signal.SIGUSR2, blocked=True)
        looks = [oversight.finds_fault(other, served, idle=False) for served in range(5)]
        turn(other, signal.SIGHUP, blocked=False)
        looks.append(oversight.finds_fault(other, 5, idle=False))
        turn(other, signal.SIGUSR2, blocked=True)
        looks += [oversight.finds_fault(other, served, idle=False) for served in range(6, 11)]
        assert looks == [""] * 11
        assert oversight.finds_fault(other, 11, idle=False) != ""


def test_a_stop_counts_at_the_second_look() -> None:
    with process(handle) as child:
        oversight = Oversight(listener=0)
        oversight.note_first(child)
        os.kill(child, signal.SIGSTOP)
        assert wait_until(lambda: status_of(child)[b"State"][:1] == b"T", 30)
        looks = [oversight.finds_fault(child, 0, idle=True) for _ in range(2)]
        assert looks[0] == ""
        assert looks[1] != ""


def test_what_the_server_does_not_handle_is_of_no_consequence() -> None:
    def other() -> None:
        handle()
        signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGUSR2])

    with process(handle) as first, process(other) as second:
        conditions = [Condition(one, status_of(one), NOTHING) for one in (first, second)]
        assert conditions[1].fault_beside(conditions[0]) == ""
