"""What workers tell the master through shared memory."""

import fcntl
import os
import signal
import time

import pytest

from servers.front.shared_memory.scoreboard import Scoreboard, scoreboard_file
from servers.front.shared_memory.usage import Usage


def test_slots_are_independent() -> None:
    one, two = Scoreboard(2).slots
    one.begin()
    assert one.busy_seconds() > 0
    assert two.busy_seconds() == 0
    one.end()
    assert (one.busy_seconds(), one.served(), two.served()) == (0, 1, 0)


def test_child_process_writes_where_its_parent_reads() -> None:
    (slot,) = Scoreboard(1).slots
    child = os.fork()
    if child == 0:
        slot.start()
        slot.begin()
        slot.end()
        slot.publish_usage()
        os._exit(0)
    os.waitpid(child, 0)
    assert (slot.started(), slot.served(), slot.published()) == (True, 1, 1)
    assert slot.usage().minor_faults > 0


def test_a_child_of_a_worker_has_no_scoreboard() -> None:
    """A script in there could falsify it."""
    board = Scoreboard(1)
    board.keep_from_children()
    (slot,) = board.slots
    child = os.fork()
    if child == 0:
        signal.signal(signal.SIGSEGV, signal.SIG_DFL)  # pytest would tell of it at length
        slot.end()
        os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGSEGV
    slot.end()
    assert slot.served() == 1


def test_processes_that_map_one_file_share_its_slots() -> None:
    file = scoreboard_file(3)
    mine, another = Scoreboard(3, file), Scoreboard.inherited(file)
    os.close(file)
    assert [slot.number for slot in another.slots] == [0, 1, 2]
    another.slots[1].end()
    assert [slot.served() for slot in mine.slots] == [0, 1, 0]


def test_nobody_can_take_the_file_from_under_the_master() -> None:
    file = scoreboard_file(2)
    size = os.fstat(file).st_size
    for length in (0, size + 4096):
        with pytest.raises(PermissionError):
            os.ftruncate(file, length)
    with pytest.raises(PermissionError):
        fcntl.fcntl(file, fcntl.F_ADD_SEALS, fcntl.F_SEAL_WRITE)
    os.close(file)


def test_renewed_slot_keeps_its_count_only() -> None:
    (slot,) = Scoreboard(1).slots
    slot.start()
    slot.begin()
    slot.end()
    slot.begin()
    slot.publish_usage()
    slot.renew()
    assert (slot.started(), slot.served(), slot.busy_seconds()) == (False, 1, 0)
    assert slot.usage() == Usage()


def test_busy_time_is_in_seconds() -> None:
    (slot,) = Scoreboard(1).slots
    slot.begin()
    time.sleep(0.02)
    assert 0.02 <= slot.busy_seconds() < 10


def test_any_bytes_are_numbers_to_the_master() -> None:
    """A hostile script may write here; the master must not stumble over what it finds."""
    board = Scoreboard(1)
    for byte in range(256):
        board._memory[:] = bytes([byte]) * len(board._memory)
        (slot,) = board.slots
        assert isinstance(slot.served(), int)
        assert isinstance(slot.busy_seconds(), float)
        assert slot.usage().plus(Usage()).cpu_ns == slot.usage().cpu_ns
        slot.published()
        slot.started()
