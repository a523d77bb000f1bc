"""Time stamps that survive fork and exec: when a request passed which point of the server.

Strategy: a *journal* is a file mapped by every process of a server that takes part in a request:
the worker, a forked child, the master, a zygote. It has a cell for each *point*, and the process
that passes the point writes the time into it (CLOCK_MONOTONIC, nanoseconds). Each cell has one
writer at a time, so there is nothing to lock, and whoever knows when a request began knows which
times are its own. What lies between two points is a phase; which ones a mode has is said by its
`timeline` (`servers.profiling.timelines`).

**Nothing in the server knows of it.** A point is the beginning or the end of a function that the
server calls anyway, a *seam*. `Journal.sew` puts a function that stamps in its place, in the
master, before the first fork. So a server that is not being profiled pays nothing at all: it does
not even import this module.

Rule: one worker, and one request at a time, or times would mix. `python -m servers --phases`
refuses more.

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

    Seam = tuple[str, ...]  # a function and points, as `Journal.stamped` takes them

POINTS: Final = (
    "accepted", "received", "parsed", "located", "checked", "spawning", "forked", "begun", "walled",
    "switched", "confined", "taken", "entered", "left", "answered", "joined", "returned",
    "handled", "rendered", "sent", "cleaned", "reaped", "respawned", "ready",
)  # fmt: skip
"""What is stamped; which seam each is at differs from mode to mode."""

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

    def sew(self, seams: Iterable[Seam]) -> None:
        """Have functions stamp at their start and end, where a point is named for that.

        A function is written "module:name" or "module:Class.name".
        """
        for function, *points in seams:
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
