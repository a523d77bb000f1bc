"""The steps that the master takes with a worker whose script has had its time."""

from __future__ import annotations

import signal
from collections.abc import Iterable

import pytest

from servers.front.master import overdue
from servers.front.master.overdue import Overdue
from servers.front.master.oversight import Oversight
from servers.front.shared_memory.scoreboard import Scoreboard, Slot

WORKER, BELOW = 1001, 1002
LIMIT = 10.0
TO_FREE = 0


class Master(Oversight):
    """Hurries a worker whose script has run for so long, and notes what is done."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.done: list[tuple[int, int]] = []
        self.overdue = Overdue(LIMIT, self)
        self._patch = monkeypatch.setattr
        self._slots = Scoreboard(1).slots
        self._patch(overdue, "descendants", lambda _: [BELOW])
        self._patch(overdue, "send", lambda pid, number: self.done.append((pid, number)))
        self._patch(overdue, "kill", lambda pid: self.done.append((pid, signal.SIGKILL)))

    def free_all(self, processes: Iterable[int]) -> None:
        self.done += [(process, TO_FREE) for process in processes]

    def hurry(self, seconds: float) -> list[int]:
        self._patch(Slot, "busy_seconds", lambda _: seconds)
        return list(self.overdue.hurry({WORKER: self._slots[0]}))


@pytest.fixture(name="master")
def _master(monkeypatch: pytest.MonkeyPatch) -> Master:
    return Master(monkeypatch)


def test_a_worker_is_asked_then_its_descendants_end_then_it_ends(master: Master) -> None:
    killed = [master.hurry(seconds) for seconds in (9.9, 10.0, 10.9, 11.0, 11.9, 12.0)]
    assert killed == [[], [], [], [], [], [WORKER]]
    descendants_end = [(WORKER, TO_FREE), (BELOW, TO_FREE), (BELOW, signal.SIGKILL)]
    assert master.done == [
        (WORKER, signal.SIGALRM),
        *descendants_end,
        *descendants_end,
        (WORKER, signal.SIGKILL),
    ]


def test_the_next_script_is_asked_first(master: Master) -> None:
    for seconds in (LIMIT, 0.0, LIMIT):
        master.hurry(seconds)
    assert master.done == [(WORKER, signal.SIGALRM)] * 2


def test_the_next_worker_with_that_process_id_is_asked_first(master: Master) -> None:
    master.hurry(LIMIT)
    master.overdue.forget(WORKER)
    master.hurry(LIMIT)
    assert master.done == [(WORKER, signal.SIGALRM)] * 2
