"""A slowdown of known size, planted in a server for `isobench selftest` to find.

Strategy: a fixed number of turns of an empty loop, before the mode handles each request. The number
is chosen, once a server, so that the turns take the wished CPU time of this machine as it is now.
Reading a clock in the loop instead would cost more than a turn (CLOCK_THREAD_CPUTIME_ID is a system
call), so a plant of 4 us could not be made to a tenth; and fixed work stays the same share of a
request's own work when the processor's clock changes, as a fixed time would not.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from statistics import median
from typing import Any

from servers.mode import IsolationMode

_FEW_TURNS = 0
_MANY_TURNS = 1000
_CALLS = 200
_BATCHES = 9

Handle = Callable[[Any], Any]


def slow_down(mode: IsolationMode, microseconds: float) -> int:
    """Let each request of `mode` cost so much CPU time more; return the turns that it takes.

    In the master, before the first fork, on the processor that serves.
    """
    turns = turns_for(microseconds * 1000, added_ns)
    # Of this one object: its class stays what every other server runs.
    vars(mode)["handle"] = slowed(mode.handle, turns)
    return turns


def slowed(handle: Handle, turns: int) -> Handle:
    """Return `handle` with `turns` of an empty loop before it."""

    def slowed_handle(request: Any) -> Any:
        for _ in range(turns):
            pass
        return handle(request)

    return slowed_handle


def turns_for(busy_ns: float, cost_ns: Callable[[int], float]) -> int:
    """Return the turns that cost `busy_ns`, if `cost_ns` tells what a number of turns costs.

    The cost is taken to be linear: that of being called at all, and that of each turn.
    """
    none = cost_ns(_FEW_TURNS)
    each = (cost_ns(_MANY_TURNS) - none) / (_MANY_TURNS - _FEW_TURNS)
    return max(0, round((busy_ns - none) / each))


def added_ns(turns: int) -> float:
    """Return the CPU time in nanoseconds that `slowed` adds to a call. Takes some 20 ms at most.

    The median of some batches, so that what interrupts one of them does not count.
    """
    plain, slower = _nothing, slowed(_nothing, turns)
    return median(_batch_ns(slower) - _batch_ns(plain) for _ in range(_BATCHES)) / _CALLS


def _batch_ns(call: Handle) -> int:
    start = time.thread_time_ns()
    for _ in range(_CALLS):
        call(None)
    return time.thread_time_ns() - start


def _nothing(_request: object) -> None:
    return
