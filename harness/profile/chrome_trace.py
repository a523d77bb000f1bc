"""Requests as a trace that Perfetto opens: Chrome's trace event format, in JSON. Pure.

The format is that of "Trace Event Format" (Google, 2016): complete events ("X") for requests and
their phases, instant ones ("i") for what the kernel saw, metadata ("M") that names the rows.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Final

from harness.profile.ftrace import Event
from harness.profile.phases import AFTERWARDS, Course, Disorder, Passed, stretches

MOST_REQUESTS: Final = 50
_PROCESS: Final = 1
_CLIENT: Final = 1
_PHASES: Final = 2
_AFTERWARDS: Final = 3
_ROWS: Final = {_CLIENT: "client", _PHASES: "request", _AFTERWARDS: "after the answer was sent"}

Json = dict[str, Any]


def trace(target: str, course: Course, passed: Sequence[Passed], events: Sequence[Event]) -> Json:
    """Return the first requests of a target; times in microseconds from the first one's start."""
    shown = passed[:MOST_REQUESTS]
    if not shown:
        return {"traceEvents": [], "displayTimeUnit": "ns"}
    origin = shown[0].began
    end = passed[MOST_REQUESTS].began if len(passed) > MOST_REQUESTS else events_end(shown, events)
    kernel = [event for event in events if origin <= event.at_ns < end]
    threads = sorted({event.thread for event in kernel})
    rows = {**_ROWS, **{thread: f"kernel: thread {thread}" for thread in threads}}
    return {
        "traceEvents": [
            _metadata("process_name", _PROCESS, target),
            *(_metadata("thread_name", row, name) for row, name in rows.items()),
            *(one for number, request in enumerate(shown, 1)
              for one in _request(number, course, request, origin)),
            *(_instant(event, origin) for event in kernel),
        ],
        "displayTimeUnit": "ns",
    }  # fmt: skip


def events_end(passed: Sequence[Passed], events: Sequence[Event]) -> int:
    """Return a time after the last of all that is known."""
    return max([passed[-1].delivered, *(event.at_ns for event in events[-1:])]) + 1


def _request(number: int, course: Course, passed: Passed, origin: int) -> Iterator[Json]:
    name = f"request {number}"
    yield _complete(name, "request", _CLIENT, passed.began, passed.delivered, origin)
    try:
        found = stretches(course, passed)
    except Disorder:
        return
    for one in found:
        row = _AFTERWARDS if one.part == AFTERWARDS else _PHASES
        yield _complete(one.phase, one.part, row, one.start, one.end, origin)


def _complete(name: str, category: str, row: int, start: int, end: int, origin: int) -> Json:
    return {
        "ph": "X",
        "name": name,
        "cat": category,
        "pid": _PROCESS,
        "tid": row,
        "ts": (start - origin) / 1000,
        "dur": (end - start) / 1000,
    }


def _instant(event: Event, origin: int) -> Json:
    words = event.detail if event.name in ("enter", "exit") else event.name
    side = f"{event.name} " if event.name in ("enter", "exit") else ""
    return {
        "ph": "i",
        "s": "t",
        "name": f"{side}{words}",
        "cat": "kernel",
        "pid": _PROCESS,
        "tid": event.thread,
        "ts": (event.at_ns - origin) / 1000,
        "args": {"detail": event.detail},
    }


def _metadata(kind: str, row: int, name: str) -> Json:
    return {"ph": "M", "name": kind, "pid": _PROCESS, "tid": row, "args": {"name": name}}
