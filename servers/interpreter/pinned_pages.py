"""Pages that a fork copies at once, since the child will write to them anyway.

After a fork, parent and child share all pages, write-protected. The first to write to one faults,
and gets a copy; when the other writes as well, it faults too. For a page that each child writes to,
and in CPython even reading an object does that, copying it during the fork is cheaper than both
faults: seen were 0.9 us in the place of 2.6.

Linux does so for one kind of page: those that a device may be reading or writing at that moment,
which are *pinned* (pin_user_pages.rst in the kernel's documentation; copy_present_page in
mm/memory.c). Buffers that were registered with an io_uring are pinned, whether or not anything is
ever read into them (io_uring_register(2), IORING_REGISTER_BUFFERS). So a process that forks for
each request has children rehearse, looks which pages they write to, and registers those.

The ring is of no other use, and is nobody's to use: it stays with this process alone, without a
descriptor, which a child would inherit (IORING_REGISTER_RING_FDS).

Where the kernel offers none of this (before 5.18, or with kernel.io_uring_disabled, or in a
container whose seccomp profile forbids it), forks copy later and cost more, and that is all.
"""

from __future__ import annotations

import ctypes
import os
import sys

TYPE_CHECKING = False  # what mypy believes to be true, as that of `typing`
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from typing import Final, NoReturn

    Range = tuple[int, int]

_REHEARSALS: Final = 3

_PAGE: Final = os.sysconf("SC_PAGE_SIZE")

# proc_pid_pagemap(5): eight bytes a page
_ENTRY: Final = 8
_PRESENT: Final = 1 << 63
_OF_A_FILE: Final = 1 << 61
_EXCLUSIVE: Final = 1 << 56

# linux/io_uring.h, and the system calls' numbers, which are the same on every architecture
_SYS_IO_URING_SETUP: Final = 425
_SYS_IO_URING_REGISTER: Final = 427
_REGISTER_BUFFERS: Final = 0
_REGISTER_RING_FDS: Final = 20
_PARAMETERS_BYTES: Final = 120
_ANY_PLACE: Final = 0xFFFFFFFF
_MOST_BUFFERS: Final = 1 << 14


def arrange(rehearse: Callable[[], object]) -> int:
    """Have forks of this process copy early what `rehearse`, done in a child, writes to.

    Return how many pages that are; 0 where the kernel does not offer it. Only forks by this very
    process are concerned, not those of its children.
    """
    try:
        pages = set.intersection(*(_written(rehearse) for _ in range(_REHEARSALS)))
        _pin(sorted(pages)[:_MOST_BUFFERS])
    except OSError:
        return 0
    return len(pages)


def _written(rehearse: Callable[[], object]) -> set[int]:
    """Return the addresses of the pages that a child writes to, of those that there are before."""
    places = list(_private_memory())
    answer = os.memfd_create("pages")
    try:
        child = os.fork()
        if child == 0:
            _rehearse_and_tell(rehearse, places, answer)
        os.waitpid(child, 0)
        os.lseek(answer, 0, os.SEEK_SET)
        with open(answer, "rb", closefd=False) as file:
            entries = memoryview(file.read()).cast("Q")
    finally:
        os.close(answer)
    addresses = (address for start, end in places for address in range(start, end, _PAGE))
    # Shorter than the addresses where the child has failed: then nothing is known of the rest.
    pairs = zip(addresses, entries, strict=False)
    return {address for address, entry in pairs if _is_a_copy(entry)}


def _rehearse_and_tell(
    rehearse: Callable[[], object], places: Sequence[Range], answer: int
) -> NoReturn:
    """Be the child."""
    try:
        pagemap = os.open("/proc/self/pagemap", os.O_RDONLY)  # while it still may
        rehearse()
        for start, end in places:
            count = (end - start) // _PAGE
            os.write(answer, os.pread(pagemap, count * _ENTRY, start // _PAGE * _ENTRY))
    finally:
        os._exit(0)


def _is_a_copy(entry: int) -> bool:
    """Return whether a page is this process's alone: not shared with the parent any more."""
    return bool(entry & _PRESENT and entry & _EXCLUSIVE and not entry & _OF_A_FILE)


def _private_memory() -> Iterator[Range]:
    """Yield what this process can write to and a fork copies, as addresses (proc_pid_maps(5))."""
    with open("/proc/self/maps", "rb") as file:
        lines = file.readlines()
    for line in lines:
        addresses, permissions = line.split(None, 2)[:2]
        if permissions.startswith(b"rw") and permissions.endswith(b"p"):
            start, _, end = addresses.partition(b"-")
            yield int(start, 16), int(end, 16)


def _pin(pages: Sequence[int]) -> None:
    """Register pages with a ring that lasts as long as this process. Raises OSError."""
    parts = [part for page in pages for part in (page, _PAGE)]
    vectors = (ctypes.c_size_t * len(parts))(*parts)  # struct iovec: an address and a length
    ring = _call(_SYS_IO_URING_SETUP, 1, ctypes.create_string_buffer(_PARAMETERS_BYTES))
    try:
        _call(_SYS_IO_URING_REGISTER, ring, _REGISTER_BUFFERS, vectors, len(pages))
        _call(_SYS_IO_URING_REGISTER, ring, _REGISTER_RING_FDS, _update(ring), 1)
    finally:
        os.close(ring)


def _update(ring: int) -> ctypes.Array[ctypes.c_char]:
    """Return a struct io_uring_rsrc_update that registers a ring in any place."""
    numbers = ((_ANY_PLACE, 4), (0, 4), (ring, 8))
    content = b"".join(number.to_bytes(size, sys.byteorder) for number, size in numbers)
    return ctypes.create_string_buffer(content, len(content))


_libc: Final = ctypes.CDLL(None, use_errno=True)


def _call(number: int, *arguments: object) -> int:
    result: int = _libc.syscall(ctypes.c_long(number), *arguments)
    if result < 0:
        error = ctypes.get_errno()
        raise OSError(error, os.strerror(error))
    return result
