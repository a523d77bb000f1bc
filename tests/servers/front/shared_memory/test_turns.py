"""Which workers accept, tried with processes that accept from a real socket."""

import os
import signal
import socket
import threading
import time
from collections.abc import Iterator

import pytest

from servers.front.shared_memory import turns
from servers.front.shared_memory.scoreboard import Scoreboard, scoreboard_file
from servers.front.shared_memory.turns import Turn
from tests.servers.live import PATIENCE

SHORT = 0.05


@pytest.fixture
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """A leader may take its time, however slow this machine is."""
    monkeypatch.setattr(turns, "HELD_UP", 0.5)


@pytest.fixture(autouse=True)
def one_core() -> Iterator[None]:
    """As many leaders as cores: one."""
    cores = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(cores)})
    yield
    os.sched_setaffinity(0, cores)


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0), backlog=64) as server:
        yield server


def scoreboard(workers: int) -> Scoreboard:
    board = Scoreboard(workers)
    board.turns.prepare()
    return board


def turns_of(board: Scoreboard) -> list[Turn]:
    return [slot.turn for slot in board.slots]


class Taking:
    """A thread that waits for its turn."""

    def __init__(self, turn: Turn, listener: socket.socket) -> None:
        self.has_it = threading.Event()
        self._work = threading.Thread(target=self._take, args=(turn, listener.fileno()))
        self._work.start()

    def _take(self, turn: Turn, listener: int) -> None:
        turn.take(listener)
        self.has_it.set()

    def end(self) -> None:
        self._work.join(PATIENCE)
        assert not self._work.is_alive()


def test_first_worker_leads_and_goes_on_leading(listener: socket.socket) -> None:
    one, _ = turns_of(scoreboard(2))
    for _ in range(3):
        one.take(listener.fileno())
        one.occupied()


@pytest.mark.usefixtures("patient")
def test_follower_waits_while_the_leader_gets_on(listener: socket.socket) -> None:
    one, two = turns_of(scoreboard(2))
    one.take(listener.fileno())
    one.occupied()
    follower = Taking(two, listener)
    assert not follower.has_it.wait(SHORT)
    one.take(listener.fileno())
    one.occupied()
    assert not follower.has_it.wait(SHORT)
    one.pass_on()
    follower.end()


def test_leader_that_keeps_its_connection_is_replaced_at_once(listener: socket.socket) -> None:
    one, two = turns_of(scoreboard(2))
    one.take(listener.fileno())
    one.occupied()
    one.pass_on()
    two.take(listener.fileno())
    third = Taking(one, listener)  # who is a follower now
    assert not third.has_it.wait(SHORT)
    two.pass_on()
    third.end()


def test_leader_that_is_held_up_loses_its_place(listener: socket.socket) -> None:
    one, two = turns_of(scoreboard(2))
    one.take(listener.fileno())
    one.occupied()
    Taking(two, listener).end()


def test_place_of_a_worker_that_has_ended_is_free(listener: socket.socket) -> None:
    board = scoreboard(2)
    one, two = turns_of(board)
    one.take(listener.fileno())
    follower = Taking(two, listener)
    assert not follower.has_it.wait(SHORT)
    board.slots[0].renew()
    follower.end()


def test_ended_deputy_is_replaced(listener: socket.socket) -> None:
    board = scoreboard(2)
    one, two = turns_of(board)
    board.turns._values[turns._DEPUTY] = 3  # a worker that ended before the master noticed
    one.take(listener.fileno())
    one.occupied()
    Taking(two, listener).end()


@pytest.mark.parametrize("written", [1, -1, 2**62, 99])
def test_what_a_script_wrote_does_not_keep_connections_waiting(
    listener: socket.socket, written: int
) -> None:
    """The place is held by a worker that never accepts, or that there is not."""
    board = scoreboard(2)
    _, two = turns_of(board)
    values = board.turns._values
    values[turns._PLACES] = written
    values[turns._DEPUTY] = written
    values[turns._OPEN_UNTIL] = written
    values[turns._WINDOW_BEGAN] = -written
    with socket.create_connection(listener.getsockname()):
        Taking(two, listener).end()


def test_leaders_are_as_many_as_cores(listener: socket.socket) -> None:
    cores = os.sched_getaffinity(os.getppid())
    os.sched_setaffinity(0, cores)
    if len(cores) < 2:
        pytest.skip("there is one core")
    some = turns_of(scoreboard(len(cores) + 1))
    for turn in some[:-1]:
        turn.take(listener.fileno())
    last = Taking(some[-1], listener)
    assert not last.has_it.wait(SHORT)
    some[0].pass_on()
    last.end()


def test_all_accept_while_scripts_only_wait(
    listener: socket.socket, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Held up again and again on idle cores: with turns, they would be idle for longer."""
    monkeypatch.setattr(turns, "_idle_ticks", lambda: int(time.monotonic() * turns._TICKS))
    board = scoreboard(3)
    some = turns_of(board)
    deadline = time.monotonic() + PATIENCE
    while not board.turns._values[turns._OPEN_UNTIL]:
        assert time.monotonic() < deadline
        for turn in some:
            turn.take(listener.fileno())
            turn.occupied()
    for turn in some:
        turn.take(listener.fileno())
        turn.occupied()


def test_workers_take_turns_while_scripts_compute(
    listener: socket.socket, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(turns, "_idle_ticks", lambda: 0)
    board = scoreboard(2)
    for _ in range(30):
        for turn in turns_of(board):
            turn.take(listener.fileno())
            turn.occupied()
    assert board.turns._values[turns._OPEN_UNTIL] == 0


def test_processes_that_map_one_file_share_their_turns(listener: socket.socket) -> None:
    file = scoreboard_file(2)
    board = Scoreboard(2, file)
    board.turns.prepare()
    one, _ = turns_of(board)
    one.take(listener.fileno())
    child = os.fork()
    if child == 0:
        signal.alarm(int(PATIENCE))
        Scoreboard.inherited(file).slots[1].turn.take(listener.fileno())
        os._exit(0)
    one.pass_on()
    assert os.waitpid(child, 0)[1] == 0
    os.close(file)


def test_idle_time_of_our_cores_is_what_the_kernel_says() -> None:
    before = turns._idle_ticks()
    assert before > 0
    assert turns._idle_ticks() >= before
