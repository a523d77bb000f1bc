"""How many requests an observed server has served, by tenant: a file that its processes share.

Only a server that is observed (`python -m servers --metrics FILE`) loads this; no other counts
anything for it. A process outside the server reads the file (`harness.metrics`).

Strategy: the file holds 64-bit integers: a head, then a *row* for each process that may serve at
the same time, and in each row a *cell* for each site, the last of them for requests that name none.
A row has one writer at a time, so counting needs neither a lock nor an atomic addition; whoever
reads adds the rows up. A latency falls into the bucket of the next power of two, which takes a
shift and no search.

A hostile script in an embedded mode can write here, as it can on the scoreboard. Nothing in the
server is decided by what stands here.
"""

from __future__ import annotations

import ctypes
import mmap
import os
import sys

TYPE_CHECKING = False  # what mypy believes to be true, as that of `typing`
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Final

HEAD: Final = (
    "rows", "sites", "workers", "workers_busy", "workers_replaced",
    "tenant_workers", "tenant_workers_busy", "tenant_worker_starts", "tenant_worker_evictions",
)  # fmt: skip
"""What stands in the head, a word each. Numbers that a mode does not have stay -1."""

_HEAD_WORDS: Final = 16
_NO_NUMBER: Final = -1
_CLASSES: Final = 4  # of statuses: 2xx to 5xx
_SUM: Final = _CLASSES
_BUCKETS: Final = _SUM + 1
_SHIFT: Final = 16  # the first bucket ends at 2**16 ns, 66 us
_BOUNDED_BUCKETS: Final = 20  # the last bucket with an end ends at 2**35 ns, 34 s
CELL: Final = _BUCKETS + _BOUNDED_BUCKETS + 1

_FAILED: Final = ctypes.c_void_p(-1).value
_libc: Final = ctypes.CDLL(None, use_errno=True)
_libc.mmap.restype = ctypes.c_void_p
_libc.mmap.argtypes = (
    *(ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int, ctypes.c_int, ctypes.c_int),
    ctypes.c_long,
)
_libc.madvise.argtypes = (ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int)


class Tally:
    """The file, mapped."""

    def __init__(self, file: int) -> None:
        """Map the file of this descriptor, which `at` has made."""
        self.file = file
        self._length = os.fstat(file).st_size
        # Not mmap.mmap, which keeps a descriptor of its own for scripts to find and truncate.
        access = mmap.PROT_READ | mmap.PROT_WRITE
        self._address = _libc.mmap(None, self._length, access, mmap.MAP_SHARED, file, 0)
        if self._address == _FAILED:
            raise OSError(ctypes.get_errno(), "the tally cannot be mapped")
        words = (ctypes.c_int64 * (self._length // 8)).from_address(self._address)
        self._values = memoryview(words).cast("B").cast("q")
        self._sites = self._values[HEAD.index("sites")]

    @classmethod
    def at(cls, path: str | os.PathLike[str], rows: int, sites: int) -> Tally:
        """Return the tally in the file `path`, which is emptied. Raises OSError."""
        file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        os.ftruncate(file, 8 * (_HEAD_WORDS + rows * (sites + 1) * CELL))
        head = [rows, sites] + [_NO_NUMBER] * (len(HEAD) - 2)
        os.write(file, b"".join(word.to_bytes(8, sys.byteorder, signed=True) for word in head))
        return cls(file)

    def row(self, number: int, places: dict[str, int]) -> Row:
        """Return a row; `places` has the place of each site's cell, as `places_of` says."""
        words = (self._sites + 1) * CELL
        start = _HEAD_WORDS + number * words
        return Row(self._values[start : start + words], places, self._sites)

    def note(self, name: str, value: int) -> None:
        """Write a number into the head."""
        self._values[HEAD.index(name)] = value

    def keep_from_children(self) -> None:
        """Leave the tally out of every process forked from now on, as the scoreboard is."""
        _libc.madvise(self._address, self._length, mmap.MADV_DONTFORK)

    def give_to_children(self) -> None:
        """Undo `keep_from_children`."""
        _libc.madvise(self._address, self._length, mmap.MADV_DOFORK)


class Row:
    """The cells of one process."""

    __slots__ = ("_last", "_places", "_values")

    def __init__(self, values: memoryview[int], places: dict[str, int], last: int) -> None:
        self._values = values
        self._places = places
        self._last = last

    def count(self, site: str, status: int, took_ns: int) -> None:
        """Count a request that was answered. Called once a request, by the one writer."""
        values = self._values
        at = self._places.get(site, self._last) * CELL
        values[at + _class_of(status)] += 1
        took_ns = max(took_ns, 1)
        values[at + _SUM] += took_ns
        bucket = min((took_ns - 1 >> _SHIFT).bit_length(), _BOUNDED_BUCKETS)
        values[at + _BUCKETS + bucket] += 1

    def refuse(self, status: int) -> None:
        """Count what was answered without being a request, which has no latency."""
        self._values[self._last * CELL + _class_of(status)] += 1


def nowhere() -> Row:
    """Return a row that nobody reads, for requests that are only rehearsed."""
    return Row(memoryview(bytearray(CELL * 8)).cast("q"), {}, 0)


def places_of(sites: Iterable[str]) -> dict[str, int]:
    """Return the place of each site's cell, in the order of `servers.sites.Sites`."""
    return {name: place for place, name in enumerate(sites)}


def layout(sites: Iterable[str]) -> dict[str, object]:
    """Return what a reader of the file has to know, as JSON takes it."""
    return {
        "head": HEAD,
        "head_words": _HEAD_WORDS,
        "sites": list(sites),
        "cell": CELL,
        "classes": [f"{first}xx" for first in range(2, 2 + _CLASSES)],
        "bucket_ends_ns": [1 << _SHIFT + place for place in range(_BOUNDED_BUCKETS)],
    }


def _class_of(status: int) -> int:
    return min(max(status // 100 - 2, 0), _CLASSES - 1)
