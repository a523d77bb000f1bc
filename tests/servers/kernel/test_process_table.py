"""What /proc shows of processes, which choose their own names."""

import ctypes
import os

import pytest

from servers.kernel.process_table import descendants, status_of
from tests.servers.forked import process

PR_SET_NAME = 15  # linux/prctl.h


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
