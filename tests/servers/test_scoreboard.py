"""What workers tell the master through shared memory."""

import os
import resource
import time

from servers.scoreboard import Scoreboard, Usage, own_usage, usage_of


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


def test_usage_adds_up() -> None:
    assert Usage(1, 2, 3, 4, 5).plus(Usage(1, 1, 1, 1, 1)) == Usage(2, 3, 4, 5, 6)
    before = usage_of(resource.getrusage(resource.RUSAGE_SELF))
    assert own_usage().cpu_ns >= before.cpu_ns > 0
