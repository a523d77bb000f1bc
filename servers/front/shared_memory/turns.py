"""Which workers accept: one for each core of the server, and others where those are held up.

A worker that has answered finds the next connection already waiting, and goes on. If all workers
accept, each connection has woken another one by then. It gets the core once the running worker's
time slice ends, in the middle of a request, which then waits behind the slices of all the others:
with eight workers on one core, the slowest 2% of requests took some 30 ms instead of 2. Taking
turns at each request instead costs a fifth of the rate, since each worker finds the caches full of
another one's memory (docs/measuring.md).

So workers are leaders or followers (Schmidt and others, Leader/Followers, PLoP 2000). A *leader*
accepts, request after request; there are as many as cores. *Followers* sleep. A leader that stays
with a connection, which keep-alive makes it do, hands its place to a follower. A leader that has
been held up for HELD_UP by one connection, such as by a script that sleeps or a client that sends
slowly, loses its place to a follower, as Go's scheduler takes the processor from a goroutine that
blocks (sysmon in runtime/proc.go). One follower watches for that, the *deputy*. Where leaders are
held up again and again while the cores are idle, since scripts wait for something, all workers
accept for OPEN_SECONDS.

A hostile script in an embedded mode can write to the shared memory. No entry there is trusted
for long: every sleep is bounded, and a deputy that sees a connection wait while nobody gets on
takes a place, whatever the memory says.
"""

from __future__ import annotations

import ctypes
import mmap
import os
import select
import time

TYPE_CHECKING = False  # what mypy believes to be true, as that of `typing`
if TYPE_CHECKING:
    from typing import Final

HELD_UP: Final = 0.004
"""For how many seconds a connection may hold up a leader before another worker takes its place."""

OPEN_SECONDS: Final = 1.0
"""For how long all workers accept, once scripts were seen to wait more than they compute."""

_WINDOW_SECONDS: Final = 0.05
_MANY_HELD_UP: Final = 6  # of the 12 that a window has time for
_IDLE_SHARE: Final = 0.2
_TICKS: Final = os.sysconf("SC_CLK_TCK")

_QUIET_LOOKS: Final = 12
_QUIET_SECONDS: Final = 1.0
_SLEEP_SECONDS: Final = 0.5
_MISSING_SECONDS: Final = 2.0

_SEMAPHORE: Final = 0  # the first words, of 8 bytes: a sem_t, of which glibc's and musl's have 32
_SEMAPHORE_WORDS: Final = 4
_DEPUTY: Final = 4
_DEPUTY_SEEN: Final = 5
_OPEN_UNTIL: Final = 6
_WINDOW_BEGAN: Final = 7
_WINDOW_IDLE: Final = 8
_WINDOW_HELD_UP: Final = 9
_PLACES: Final = 10

_libc: Final = ctypes.CDLL(None, use_errno=True)


class _Timespec(ctypes.Structure):
    _fields_ = (("seconds", ctypes.c_long), ("nanoseconds", ctypes.c_long))


def leaders() -> int:
    """Return how many workers accept at the same time: the number of cores that we may use."""
    return len(os.sched_getaffinity(0))


def words(workers: int) -> int:
    """Return how many 64-bit words `Turns` needs for so many workers."""
    return _PLACES + leaders() + workers


class Turns:
    """The shared memory: who leads, who is the deputy, and since when each worker is occupied."""

    __slots__ = ("_address", "_places", "_values", "_workers")

    def __init__(self, memory: mmap.mmap, offset: int, workers: int) -> None:
        """Use `words(workers)` words of `memory`, from the byte `offset` on."""
        count = words(workers)
        self._values = memoryview(memory)[offset : offset + count * 8].cast("q")
        self._address = ctypes.addressof(ctypes.c_char.from_buffer(memory, offset))
        self._places = range(_PLACES, _PLACES + leaders())
        self._workers = workers

    def prepare(self) -> None:
        """Make the semaphore. In the master, before there are workers."""
        _libc.sem_init(ctypes.c_void_p(self._address), 1, 0)

    def turn(self, number: int) -> Turn:
        """Return the turn of the worker in the slot `number`."""
        return Turn(self, number)

    def vacate(self, number: int) -> None:
        """Give up whatever the worker in the slot `number` held, which has ended."""
        me = number + 1
        values = self._values
        values[self._places.stop + number] = 0
        for position in (_DEPUTY, *self._places):
            if values[position] == me:
                values[position] = 0
                self.wake()

    def wake(self) -> None:
        """Wake one follower."""
        _libc.sem_post(ctypes.c_void_p(self._address))

    def sleep(self, seconds: float) -> None:
        """Sleep until someone calls `wake`, so long at most."""
        # On the wall clock, which all C libraries have: a step of it makes one sleep too long.
        until = time.time() + seconds
        time_limit = _Timespec(int(until), int(until % 1 * 1e9))
        _libc.sem_timedwait(ctypes.c_void_p(self._address), ctypes.byref(time_limit))


class Turn:
    """One worker's part: it calls `take` before it accepts, and `occupied` after it has."""

    __slots__ = ("_me", "_place", "_since", "_turns", "_values")

    def __init__(self, turns: Turns, number: int) -> None:
        self._turns = turns
        self._values = turns._values
        self._me = number + 1
        self._since = turns._places.stop + number
        self._place = turns._places.start

    def take(self, listener: int) -> None:
        """Return as soon as this worker may accept from the descriptor `listener`."""
        self._values[self._since] = 0
        if self._values[self._place] != self._me:
            self._follow(listener)

    def occupied(self) -> None:
        """Note that this worker has accepted a connection."""
        self._values[self._since] = time.monotonic_ns()

    def pass_on(self) -> None:
        """Let another worker lead, since this one stays with its connection."""
        if self._values[self._place] == self._me:
            self._values[self._place] = 0
            self._turns.wake()

    def _follow(self, listener: int) -> None:
        while not self._leads() and not self._open():
            if self._is_deputy():
                self._watch(listener)
            else:
                self._turns.sleep(_SLEEP_SECONDS)

    def _leads(self) -> bool:
        """Take a place that is vacant, or whose holder is held up. Whoever writes last has it."""
        for place in self._turns._places:
            holder = self._values[place]
            if holder in (0, self._me):
                self._lead(place)
                return True
            if self._held_up(holder):
                self._lead(place)
                self._note_held_up()
                return True
        return False

    def _note_held_up(self) -> None:
        """Count a leader that was held up; let all workers accept if there were many in vain."""
        values = self._values
        values[_WINDOW_HELD_UP] += 1
        now = time.monotonic_ns()
        age = (now - values[_WINDOW_BEGAN]) / 1e9
        if 0 <= age < _WINDOW_SECONDS:
            return
        idle = _idle_ticks()
        share = (idle - values[_WINDOW_IDLE]) / _TICKS / leaders() / age if age else 0.0
        if (
            values[_WINDOW_HELD_UP] >= _MANY_HELD_UP
            and age < 2 * _WINDOW_SECONDS
            and share >= _IDLE_SHARE
        ):
            values[_OPEN_UNTIL] = now + int(OPEN_SECONDS * 1e9)
        values[_WINDOW_BEGAN], values[_WINDOW_IDLE], values[_WINDOW_HELD_UP] = now, idle, 0

    def _open(self) -> bool:
        """Return whether all workers accept for the time being; if so, wake the next."""
        left = self._values[_OPEN_UNTIL] - time.monotonic_ns()
        if not 0 < left <= OPEN_SECONDS * 1e9:
            return False
        self._turns.wake()
        return True

    def _lead(self, place: int) -> None:
        values = self._values
        values[place] = self._me
        self._place = place
        if values[_DEPUTY] == self._me:
            values[_DEPUTY] = 0
            self._turns.wake()

    def _held_up(self, holder: int) -> bool:
        if not 0 < holder <= self._turns._workers:
            return True  # a script wrote this
        since = self._values[self._turns._places.stop + holder - 1]
        return since != 0 and time.monotonic_ns() - since > HELD_UP * 1e9

    def _is_deputy(self) -> bool:
        """Return whether we are the deputy, and be it where there is none, or it is not seen."""
        values = self._values
        now = time.monotonic_ns()
        if values[_DEPUTY] != self._me:
            if values[_DEPUTY] and 0 <= now - values[_DEPUTY_SEEN] < _MISSING_SECONDS * 1e9:
                return False
            values[_DEPUTY] = self._me
        values[_DEPUTY_SEEN] = now
        return True

    def _watch(self, listener: int) -> None:
        """As the deputy, look every HELD_UP; where nothing happens, wait for a connection first."""
        before = self._progress()
        for _ in range(_QUIET_LOOKS):
            time.sleep(HELD_UP)
            if self._progress() != before or self._some_place_is_open():
                return
        poll = select.poll()
        poll.register(listener, select.POLLIN)
        if not poll.poll(_QUIET_SECONDS * 1000):
            return
        time.sleep(HELD_UP)
        if poll.poll(0) and self._progress() == before:
            self._lead(self._turns._places.start)

    def _progress(self) -> list[int]:
        first = self._turns._places.stop
        return self._values[first : first + self._turns._workers].tolist()

    def _some_place_is_open(self) -> bool:
        return any(
            self._values[place] == 0 or self._held_up(self._values[place])
            for place in self._turns._places
        )


def _idle_ticks() -> int:
    """Return for how many clock ticks the cores that we may use were idle (proc_stat(5))."""
    ours = {b"cpu%d" % core for core in os.sched_getaffinity(0)}
    try:
        with open("/proc/stat", "rb") as file:
            lines = [line.split() for line in file.read(65536).split(b"\n")]
    except OSError:
        return 0
    return sum(int(line[4]) + int(line[5]) for line in lines if line and line[0] in ours)
