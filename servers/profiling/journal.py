"""Timestamps that survive fork and exec: when a request passed each point of the server.

Strategy: a *journal* is a file mapped by every process of a server that takes part in a request:
the worker, a forked child, the master, a zygote. It has a cell for each *point*, and the process
that passes the point writes the time into it (CLOCK_MONOTONIC, nanoseconds). Each cell has one
writer at a time, so it needs no lock, and the time at which a request began tells its stamps from
older ones. What lies between two points is a phase; a mode's `timeline` names its phases
(`servers.profiling.timelines`).

**The server's code does not mention it.** A *probe point* is a function that the server calls
anyway, with the points at its start and end. `Journal.instrument` replaces it by one that stamps,
in the master, before the first fork. So a server that is not being profiled pays nothing at all:
it does not even import this module.

Rule: one worker, and one request at a time, or the times of requests would mix.
`python -m servers --phases` refuses more.

Imports next to nothing, as `context`, since the zygote loads it as well.
"""

from __future__ import annotations

import mmap
import os
import sys
import time

TYPE_CHECKING = False  # what mypy believes to be true, as that of `typing`
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from typing import Any, Final

    ProbePoint = tuple[str, ...]  # a function and points, as `Journal.stamped` takes them

POINTS: Final = (
    "accepted", "received", "parsed", "located", "checked", "spawning", "forked", "begun", "walled",
    "switched", "confined", "taken", "entered", "left", "answered", "joined", "returned",
    "handled", "rendered", "sent", "cleaned", "reaped", "respawned", "ready",
)  # fmt: skip
"""All points. The probe point of each differs from mode to mode."""

_CELL_BYTES: Final = 8
_TAKES_MORE: Final = 0x04 | 0x08  # CO_VARARGS, CO_VARKEYWORDS (the documentation of `inspect`)
_FILE_BYTES: Final = len(POINTS) * _CELL_BYTES
_PLACE: Final = {point: place for place, point in enumerate(POINTS)}


class Journal:
    """The cells, in the order of POINTS; 0 is the time of what has not happened yet."""

    def __init__(self, file: int) -> None:
        """Map the file of this descriptor, which has its size already. Raises OSError."""
        self.file = file
        self._cells = memoryview(mmap.mmap(file, _FILE_BYTES)).cast("q")

    @classmethod
    def at(cls, path: str | os.PathLike[str]) -> Journal:
        """Return the journal in the file `path`, which is made if need be. Raises OSError."""
        file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        os.ftruncate(file, _FILE_BYTES)
        return cls(file)

    def instrument(self, probes: Iterable[ProbePoint]) -> None:
        """Make functions stamp at their start and end, where these have a point.

        A function is written "module:name" or "module:Class.name".
        """
        for function, *points in probes:
            holder, name = _found(function)
            setattr(holder, name, self.stamped(getattr(holder, name), *points))

    def stamped(
        self, function: Callable[..., Any], start: str = "", end: str = "", child: str = ""
    ) -> Callable[..., Any]:
        """Return `function` with stamps at its start and at its end, where they have a name.

        `child` is for a function that forks: the point at which the child gets its 0.

        It is compiled for the purpose, with the parameters of the original: to pass on whatever
        comes, as `*arguments` does, takes half as long again.
        """
        parameters = _parameters_of(function)
        lines = [
            f"def stamping({parameters}):",
            f"  cells[{_PLACE[start]}] = clock()" if start else "",
            f"  result = function({parameters})",
            f"  if result == 0: cells[{_PLACE[child]}] = clock()" if child else "",
            f"  cells[{_PLACE[end]}] = clock()" if end else "",
            "  return result",
        ]
        names = {"cells": self._cells, "clock": time.monotonic_ns, "function": function}
        exec("\n".join(lines), names)
        stamping: Any = names["stamping"]
        stamping.__defaults__ = getattr(function, "__defaults__", None)
        return stamping  # type: ignore[no-any-return]


def _parameters_of(function: Any) -> str:
    """Return a function's parameters, without `self` where that is bound, as they are written."""
    code = getattr(function, "__code__", None)
    if code is None or code.co_kwonlyargcount or code.co_flags & _TAKES_MORE:
        return "*arguments, **named"
    first = 1 if hasattr(function, "__self__") else 0
    return ", ".join(code.co_varnames[first : code.co_argcount])


def _found(function: str) -> tuple[Any, str]:
    """Return what holds a function, and its name in there."""
    module, _, path = function.partition(":")
    __import__(module)  # `importlib` is more than the zygote has loaded
    holder: Any = sys.modules[module]
    *classes, name = path.split(".")
    for inner in classes:
        holder = getattr(holder, inner)
    return holder, name
