"""An intentional slowdown of known size, made in a server for `isobench selftest` to find.

Strategy: before the mode handles a request, its worker looks at its own CPU clock until the wished
time is over. It never sleeps.

**Why a clock, and not a number of turns of a loop?** A loop that takes 4 us while the host is idle
took 9 us under load, seen on two processors of a virtual machine that were threads of one core: all
else in a request waits for memory and the kernel, and slows down far less.

**Why the CPU clock?** By any other, time in which another worker has the processor passes for busy.
Of 40 us asked for, 27 were spent with two workers, and all 40 by this one.

**What is claimed is what is added.** Reading that clock is a system call. A call without any time
to wait makes some, which take 0.5 us in a loop and 2 us in a request, where nothing of them is in
the processor's caches: of 3.5 us asked for, 5.7 were seen. So every server of a selftest is slowed,
the baseline by 0, and they differ only by the turns of the loop. These come in whole numbers: what
more they add on average than was asked for is measured once a server, and asked for less.
"""

from __future__ import annotations

import time

from servers.mode import IsolationMode

TYPE_CHECKING = False  # what mypy believes to be true, as that of `typing`
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    Handle = Callable[[Any], Any]

_CALLS = 100
_BATCH_NS = 20_000_000
_BATCHES = 15
_CORRECTIONS = 2


def slow_down(mode: IsolationMode, microseconds: float) -> None:
    """Let each request of `mode` cost so much CPU time more.

    In the master, before the first fork, on the processor that serves. Takes some 20 ms to 1 s,
    and longer where a call is slowed down by more than a batch may take.
    """
    asked_ns = to_ask_for(round(microseconds * 1000), added_ns)
    # Of this one object: its class stays what every other server runs.
    vars(mode)["handle"] = slowed(mode.handle, asked_ns)


def slowed(handle: Handle, busy_ns: int, clock: Callable[[], int] = time.thread_time_ns) -> Handle:
    """Return `handle` with so many nanoseconds of looking at the clock before it."""

    def slowed_handle(request: Any) -> Any:
        clock()  # so that the readings that follow find all they need in the caches
        end = clock() + busy_ns
        while clock() < end:
            pass
        return handle(request)

    return slowed_handle


def to_ask_for(wished_ns: int, added_ns: Callable[[int], float]) -> int:
    """Return what to ask `slowed` for, if `added_ns` tells what it then really adds to a call."""
    asked_ns = wished_ns
    # Twice, since what is added grows by whole turns of the loop.
    for _ in range(_CORRECTIONS):
        excess_ns = added_ns(asked_ns) - wished_ns
        asked_ns = max(0, round(asked_ns - excess_ns))
    return asked_ns


def added_ns(busy_ns: int) -> float:
    """Return the CPU time in nanoseconds that `slowed` adds to a call, beyond what it adds for 0.

    The median of some batches, so that what interrupts one of them does not count.
    """
    slower, baseline = slowed(_nothing, busy_ns), slowed(_nothing, 0)
    # Not statistics.median: what that module loads would make the server larger than the others.
    calls = max(1, min(_CALLS, _BATCH_NS // (busy_ns + 1)))
    batches = sorted(_batch_ns(slower, calls) - _batch_ns(baseline, calls) for _ in range(_BATCHES))
    return batches[_BATCHES // 2] / calls


def _batch_ns(call: Handle, calls: int) -> int:
    start = time.thread_time_ns()
    for _ in range(calls):
        call(None)
    return time.thread_time_ns() - start


def _nothing(_request: object) -> None:
    return
