"""The compiled client: the closed loop of `closed_loop.c`, built for this host.

Strategy. A thread of its own, which never enters Python, does all that a request takes, and writes
down what became of each. Nobody looks at that before the load is over: what Python would do
meanwhile on the same processor would delay requests. Then each becomes the `request` event that it
would have been with the lean client, which stays the reference for what a request is, and takes
the place of this one where there is no compiler. What this client leaves to the lean one in any
case: loads that are open, and servers that go by the client's identity.
"""

import ctypes
import os
import socket
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from workloads import popularity
from workloads.errors import WorkloadError
from workloads.load.clients import library
from workloads.load.clients.client import (
    MAX_REPLY_BYTES,
    PAUSE_AFTER_FAILURE_S,
    TIMEOUT_S,
    ConnectionLost,
    TimedOut,
    explain,
)
from workloads.load.clients.reply import (
    CLOSED_AT_ONCE,
    CLOSED_IN_BODY,
    CLOSED_IN_HEADERS,
    SURPLUS,
    BrokenReply,
    ExchangeFailed,
    too_long,
)
from workloads.load.recorder import WrongReply
from workloads.load.spec import Load, asks
from workloads.load.timetable import Timetable

BLOCK_RECORDS = 65_536
TOO_MANY_ERRORS = 1000
"""After more than that, a load has shown what it can show."""
MOST_KEPT_BYTES = 64 * 1024 * 1024
"""Of wrong bodies, which are kept so that it can be said what is wrong with them."""

RIGHT, WRONG, LOST, FAILED, TIMED_OUT, BROKEN = range(6)
SOUND, NOT_HTTP, MORE_THAN_ONE, TOO_LONG, ENDS_IN_HEADERS, ENDS_IN_BODY = range(6)


class LoopBroke(WorkloadError):
    """The compiled client could not go on; nothing that it measured counts."""


class _Request(ctypes.Structure):
    _fields_ = (
        ("bytes", ctypes.c_char_p),
        ("head", ctypes.c_char_p),
        ("tail", ctypes.c_char_p),
        ("length", ctypes.c_uint64),
        ("head_length", ctypes.c_uint64),
        ("tail_length", ctypes.c_uint64),
        ("body_length", ctypes.c_int64),
        ("address", ctypes.c_uint32),
    )


class _Settings(ctypes.Structure):
    _fields_ = (
        ("requests", ctypes.POINTER(_Request)),
        ("order", ctypes.c_void_p),
        ("slices", ctypes.c_void_p),
        ("order_length", ctypes.c_uint64),
        ("slices_length", ctypes.c_uint64),
        ("timeout_ns", ctypes.c_int64),
        ("pause_ns", ctypes.c_int64),
        ("most_reply_bytes", ctypes.c_uint64),
        ("most_errors", ctypes.c_uint64),
        ("most_kept_bytes", ctypes.c_uint64),
        ("port", ctypes.c_uint16),
        ("keep_alive", ctypes.c_uint8),
    )


class Counts(ctypes.Structure):
    """What a loop has counted; see `users.Plan` for the meaning."""

    _fields_ = (
        ("records", ctypes.c_uint64),
        ("errors", ctypes.c_uint64),
        ("sent", ctypes.c_uint64),
        ("verified", ctypes.c_uint64),
        ("retries", ctypes.c_uint64),
        ("connections", ctypes.c_uint64),
        ("kept", ctypes.c_uint64),
        ("rests", ctypes.c_uint64),
        ("rested_ns", ctypes.c_uint64),
        ("failure", ctypes.c_int32),
    )


RECORD = np.dtype(
    [
        ("began", np.int64),
        ("completed", np.int64),
        ("body_length", np.uint64),
        ("request", np.uint32),
        ("kept", np.uint32),
        ("error", np.int32),
        ("status", np.uint16),
        ("outcome", np.uint8),
        ("flaw", np.uint8),
    ]
)
"""`struct record`: times on CLOCK_MONOTONIC, in nanoseconds."""


class Made(NamedTuple):
    """What became of a request: times in seconds on CLOCK_MONOTONIC, and what went wrong, if so."""

    tenant: str
    began: float
    completed: float
    length: int
    exception: Exception | None


def functions(path: Path | None) -> ctypes.CDLL:
    """Load the library and say what its functions take. Raises `NotBuilt`."""
    loaded = library.load(path)
    pointer, number = ctypes.c_void_p, ctypes.c_uint64
    for name, result, takes in (
        ("loop_start", pointer, [ctypes.POINTER(_Settings)]),
        ("loop_want", None, [pointer, ctypes.c_uint]),
        ("loop_halted", ctypes.c_bool, [pointer]),
        ("loop_stop", None, [pointer]),
        ("loop_free", None, [pointer]),
        ("loop_counts", None, [pointer, ctypes.POINTER(Counts)]),
        ("loop_records", pointer, [pointer, number]),
        ("loop_kept", pointer, [pointer, number, ctypes.POINTER(number)]),
    ):
        function = getattr(loaded, name)
        function.restype, function.argtypes = result, takes
    return loaded


class ClosedLoop:
    """The loop of one load. Users come and go; when the last has gone, it tells what was made.

    With a timetable, requests are sent within its slices only. `timeout_s` and the others are
    for tests.
    """

    def __init__(
        self,
        load: Load,
        timetable: Timetable | None = None,
        *,
        most_errors: int = TOO_MANY_ERRORS,
        timeout_s: float = TIMEOUT_S,
        max_reply_bytes: int = MAX_REPLY_BYTES,
    ) -> None:
        self._library = functions(load.library)
        self._load = load
        self._asks = asks(load)
        self._timeout_s = timeout_s
        self._max_reply_bytes = max_reply_bytes
        order = popularity.draw(load.popularity, len(self._asks), load.seed)
        # The loop reads these for as long as it lives.
        self._order = np.ascontiguousarray(order, dtype=np.uint32)
        self._slices = _nanoseconds(timetable)
        self._requests = _requests(load)
        self._settings = _Settings(
            requests=self._requests,
            order=self._order.ctypes.data,
            slices=self._slices.ctypes.data,
            order_length=len(self._order),
            slices_length=len(self._slices),
            timeout_ns=int(timeout_s * 1e9),
            pause_ns=int(PAUSE_AFTER_FAILURE_S * 1e9),
            most_reply_bytes=max_reply_bytes,
            most_errors=most_errors,
            most_kept_bytes=MOST_KEPT_BYTES,
            port=load.port,
            keep_alive=load.connection == "keep-alive",
        )
        self._loop: int | None = None
        self._users = 0
        self.counts = Counts()

    @property
    def halted(self) -> bool:
        """Whether nobody sends any longer, since there were too many errors."""
        return self._loop is not None and bool(self._library.loop_halted(self._loop))

    def come(self) -> None:
        """Let one more user send. Raises `LoopBroke`."""
        if self._loop is None:
            self._loop = self._library.loop_start(ctypes.byref(self._settings))
        if self._loop is None:
            self.counts.failure = ctypes.get_errno()
            self.must_have_worked()
        self._users += 1
        self._library.loop_want(self._loop, self._users)

    def go(self) -> Iterator[Made]:
        """Let one user go, wherever in a request it is; the last one gets what `end` returns."""
        self._users -= 1
        if self._loop is None or not self._users:
            return self.end()
        self._library.loop_want(self._loop, self._users)
        return iter(())

    def end(self) -> Iterator[Made]:
        """Stop all users, and return what was made since the beginning; nothing the second time.

        To be gone through to its end: then the memory for it is given back.
        """
        if self._loop is None:
            return iter(())
        loop, self._loop = self._loop, None
        self._library.loop_stop(loop)
        counts = Counts()
        self._library.loop_counts(loop, ctypes.byref(counts))
        self._add(counts)
        return self._made(loop, counts.records)

    def must_have_worked(self) -> None:
        """Raise `LoopBroke` where the loop ended by itself."""
        if self.counts.failure:
            reason = os.strerror(self.counts.failure)
            raise LoopBroke(
                f"the compiled client could not go on: {reason}",
                hint="look at the limits (ulimit -a) and at memory (dmesg), or use --client lean",
            )

    def _add(self, counts: Counts) -> None:
        """Add to the counts: a load that is started a second time has a second loop."""
        for name, *_ in Counts._fields_:
            setattr(self.counts, name, getattr(self.counts, name) + getattr(counts, name))

    def _made(self, loop: int, total: int) -> Iterator[Made]:
        tenants = [ask.tenant for ask in self._asks]
        try:
            for number in range(-(-total // BLOCK_RECORDS)):
                size = min(BLOCK_RECORDS, total - number * BLOCK_RECORDS)
                for row in self._block(loop, number, size).tolist():
                    began, completed, length, request, _, _, _, outcome, _ = row
                    wrong = None if outcome == RIGHT else self._exception(loop, row)
                    yield Made(tenants[request], began / 1e9, completed / 1e9, length, wrong)
        finally:
            self._library.loop_free(loop)

    def _block(self, loop: int, number: int, size: int) -> NDArray[Any]:
        address = self._library.loop_records(loop, number)
        copied = ctypes.string_at(address, size * RECORD.itemsize)
        return np.frombuffer(copied, dtype=RECORD)

    def _exception(self, loop: int, row: tuple[int, ...]) -> Exception:
        _, _, _, request, kept, error, status, outcome, flaw = row
        if outcome == WRONG:
            body = self._body(loop, kept)
            if body is None:
                return WrongReply("a wrong reply, one of too many to be kept", status, b"")
            reason = self._asks[request].check(status, body)
            return WrongReply(reason or "only the compiled client finds it wrong", status, body)
        return self._failure(self._asks[request].host, outcome, flaw, error)

    def _failure(self, host: str, outcome: int, flaw: int, error: int) -> ExchangeFailed:
        address = host, self._load.port
        if outcome == TIMED_OUT:
            return TimedOut.after(self._timeout_s)
        if outcome == FAILED:
            # Nothing was received where the loop says LOST.
            return explain(OSError(error, os.strerror(error)), address, received=True)
        if outcome == LOST and error:
            return explain(OSError(error, os.strerror(error)), address, received=False)
        if outcome == LOST:
            return ConnectionLost(CLOSED_AT_ONCE)
        return {
            MORE_THAN_ONE: BrokenReply(SURPLUS),
            TOO_LONG: too_long(self._max_reply_bytes),
            ENDS_IN_HEADERS: BrokenReply(CLOSED_IN_HEADERS),
            ENDS_IN_BODY: BrokenReply(CLOSED_IN_BODY),
        }.get(flaw, BrokenReply("the reply is not HTTP"))

    def _body(self, loop: int, number: int) -> bytes | None:
        length = ctypes.c_uint64()
        address = self._library.loop_kept(loop, number, ctypes.byref(length))
        return ctypes.string_at(address, length.value) if address else None


def _requests(load: Load) -> Any:
    made = (_Request * len(load.tenants))()
    for place, proof in enumerate(load.tenants):
        request = load.workload.request(proof.tenant, load.connection)
        head, tail, length = load.workload.right_body(proof)
        made[place] = _Request(
            request,
            head,
            tail,
            len(request),
            len(head),
            len(tail),
            -1 if length is None else length,
            int.from_bytes(socket.inet_aton(load.host_of(proof)), sys.byteorder),
        )
    return made


def _nanoseconds(timetable: Timetable | None) -> NDArray[np.int64]:
    slices = [] if timetable is None else list(timetable.slices())
    return np.array([[round(at * 1e9) for at in pair] for pair in slices], dtype=np.int64)
