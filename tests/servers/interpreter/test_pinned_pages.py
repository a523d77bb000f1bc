"""Pages that a fork copies at once: on the real kernel, in processes of their own."""

import ctypes
import mmap
import os
from pathlib import Path

import pytest

from servers.interpreter import pinned_pages
from tests.servers.forked import in_child
from tests.servers.live import needs_root

PAGE = mmap.PAGESIZE

needs_rings = pytest.mark.skipif(
    Path("/proc/sys/kernel/io_uring_disabled").exists()
    and Path("/proc/sys/kernel/io_uring_disabled").read_text().strip() != "0",
    reason="io_uring is disabled here",
)


def memory() -> tuple[mmap.mmap, int]:
    """Return eight written pages, and their address."""
    pages = mmap.mmap(-1, 8 * PAGE, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    pages[:] = b"p" * len(pages)
    return pages, ctypes.addressof(ctypes.c_char.from_buffer(pages))


def is_shared_with_a_child(address: int) -> bool:
    """Fork, and return whether the child has a page in common with this process."""
    awake, wake = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(wake)
        os.read(awake, 1)
        os._exit(0)
    with open("/proc/self/pagemap", "rb") as file:
        file.seek(address // PAGE * 8)
        entry = int.from_bytes(file.read(8), "little")
    os.close(awake)
    os.close(wake)
    os.waitpid(child, 0)
    return not entry >> 56 & 1


@needs_root
@needs_rings
def test_what_children_write_to_is_copied_by_the_fork_and_the_rest_is_not() -> None:
    def look() -> tuple[bool, bool, bool]:
        pages, address = memory()
        before = is_shared_with_a_child(address)

        def write() -> None:
            pages[0] = 0

        assert pinned_pages.arrange(write) > 0
        first, second = address, address + PAGE
        return before, is_shared_with_a_child(first), is_shared_with_a_child(second)

    assert in_child(look) == (True, False, True)


@needs_root
@needs_rings
def test_parent_and_child_have_copies_of_their_own() -> None:
    def look() -> tuple[bytes, bytes]:
        pages, _ = memory()

        def write() -> None:
            pages[0:1] = b"c"

        pinned_pages.arrange(write)
        told, tell = os.pipe()
        child = os.fork()
        if child == 0:
            before = pages[0:1]
            write()
            os.write(tell, before + pages[0:1])
            os._exit(0)
        os.waitpid(child, 0)
        return os.read(told, 2), pages[0:1]

    assert in_child(look) == (b"pc", b"p")


@needs_root
@needs_rings
def test_no_descriptor_is_left_and_children_have_no_ring() -> None:
    def look() -> tuple[bool, int]:
        pages, _ = memory()

        def write() -> None:
            pages[0] = 0

        before = sorted(os.listdir("/proc/self/fd"))  # noqa: PTH208 - no Path, which opens one
        assert pinned_pages.arrange(write) > 0
        same = sorted(os.listdir("/proc/self/fd")) == before  # noqa: PTH208
        # io_uring_enter(2) by the number of a ring that is registered with the task.
        enter, registered = 426, 1 << 4
        arguments = (0, 0, 0, registered, None, 0)
        libc = ctypes.CDLL(None, use_errno=True)
        child = os.fork()
        if child == 0:
            refused = libc.syscall(ctypes.c_long(enter), *arguments) < 0
            os._exit(ctypes.get_errno() if refused else 0)
        return same, os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])

    same, error = in_child(look)
    assert same
    assert error != 0


def test_a_rehearsal_that_fails_arranges_nothing() -> None:
    def fail() -> None:
        os._exit(1)

    assert in_child(lambda: pinned_pages.arrange(fail)) == 0
