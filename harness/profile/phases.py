"""From stamps to phases: where the time of a request goes, and whether all of it is explained.

Strategy: a mode's `timeline` (`servers.profiling.timelines`) says which points a request passes,
in which order, and what is done up to each. The time between two points goes to the phase that ends
at the second. It begins with the client's connecting and ends with the client's having the answer,
so that the network and the waking of processes have a place in it, too.

**What does not fit is shown, not spread.** A point that only the kernel sees may be unknown: then
its phase is part of the next one, and is listed as missing. Where any other point is unknown, what
ends at the next one is called unexplained. A point that lies before the one it should follow makes
its request useless, and that is counted.

Pure: numbers in, numbers out.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from harness.profile.ftrace import CREDENTIAL_CALLS, RESOLUTION_NS, Event

REQUEST: Final = "request"
AFTERWARDS: Final = "afterwards"
UNEXPLAINED: Final = "unexplained"
SUM_WITHIN: Final = 0.05
"""How far the sum of the phases may be from the service time, as a share of it."""

_KERNEL: Final = "kernel"
_SERVER: Final = "server"
_SENT: Final = "sent"
_RENDERED: Final = "rendered"
_DELIVERED: Final = "delivered"
_SIGCHLD: Final = "sig=17 "


@dataclass(frozen=True)
class Step:
    """A phase, the point at which it ends, and who tells when: server, script, kernel, client."""

    phase: str
    point: str
    by: str


@dataclass(frozen=True)
class Course:
    """What a request goes through until the client has its answer, and what follows."""

    request: tuple[Step, ...]
    afterwards: tuple[Step, ...]

    @classmethod
    def read(cls, layout: Mapping[str, Any]) -> Course:
        """Return the course that a server tells."""
        parts = (layout[part] for part in (REQUEST, AFTERWARDS))
        return cls(*(tuple(Step(*step) for step in steps) for steps in parts))

    @property
    def last_points(self) -> set[str]:
        """The points which the server itself stamps at last."""
        last = {step.point for step in self.afterwards if step.by == _SERVER}
        return last | ({_SENT} if self.afterwards else {_RENDERED})

    def kernel_points(self) -> set[str]:
        """Return the points that only the kernel can tell."""
        return {step.point for step in self.request + self.afterwards if step.by == _KERNEL}


@dataclass(frozen=True)
class Passed:
    """One request: when it passed which point. Nanoseconds on CLOCK_MONOTONIC."""

    began: int
    delivered: int
    points: Mapping[str, int]

    @property
    def service_ns(self) -> int:
        """From the client's connecting until it had the whole answer."""
        return self.delivered - self.began


@dataclass(frozen=True)
class Stretch:
    """The time that one request spent in a phase."""

    part: str
    phase: str
    start: int
    end: int


class Disorder(Exception):
    """A request passed a point before the one it should have come from."""


def stretches(course: Course, passed: Passed) -> list[Stretch]:
    """Return a request's phases, in order. Raises Disorder."""
    times = {**passed.points, _DELIVERED: passed.delivered}
    found = _chain(REQUEST, course.request, passed.began, times)
    if _SENT in times:
        found += _chain(AFTERWARDS, course.afterwards, times[_SENT], times)
    return found


def _chain(part: str, steps: Sequence[Step], start: int, times: Mapping[str, int]) -> list[Stretch]:
    found = []
    lost = False
    for step in steps:
        end = times.get(step.point)
        if end is None:
            lost = lost or step.by != _KERNEL
            continue
        if end < start - RESOLUTION_NS:
            raise Disorder(f"{step.point} comes {start - end} ns too early")
        end = max(start, end)  # the kernel's clock shows whole microseconds
        found.append(Stretch(part, UNEXPLAINED if lost else step.phase, start, end))
        start, lost = end, False
    return found


def with_kernel(course: Course, passed: Sequence[Passed], events: Sequence[Event]) -> list[Passed]:
    """Return the requests with the points that the kernel saw; `events` in the order of time."""
    wanted = course.kernel_points()
    ends = [one.began for one in passed[1:]] + [events[-1].at_ns + 1 if events else 0]
    found = []
    position = 0
    for one, end in zip(passed, ends, strict=True):
        window = []
        while position < len(events) and events[position].at_ns < end:
            if events[position].at_ns >= one.began:
                window.append(events[position])
            position += 1
        seen = {point: at for point, at in _seen(window).items() if point in wanted}
        found.append(Passed(one.began, one.delivered, {**one.points, **seen}))
    return found


def _seen(events: Iterable[Event]) -> dict[str, int]:
    """Return the points that the events of one request stand for."""
    points: dict[str, int] = {}
    for event in events:
        match event.name:
            case "sched_process_fork":
                points.setdefault("born", event.at_ns)
            case "sched_process_exec":
                points.setdefault("wrapped", event.at_ns)
                points["executed"] = event.at_ns
            case "exit" if event.detail in CREDENTIAL_CALLS:
                points["switched"] = event.at_ns
            case "enter" if event.detail == "exit_group":
                points.setdefault("exiting", event.at_ns)
            case "signal_generate" if event.detail.startswith(_SIGCHLD):
                points.setdefault("exited", event.at_ns)
    return points


@dataclass(frozen=True)
class Phase:
    """One phase of a target over all its requests; `share` is the median of shares of a request."""

    part: str
    phase: str
    order: int
    median_us: float
    p90_us: float
    share: float


@dataclass(frozen=True)
class Profile:
    """Where the time of a target's requests goes. Times in microseconds, medians.

    `accounted` is the median of what a request's phases until its answer come to, without what is
    unexplained, as a share of its service time. `missing` are phases that are part of the next one.
    """

    phases: tuple[Phase, ...]
    requests: int
    disordered: int
    service_us: float
    accounted: float
    missing: tuple[str, ...]

    @property
    def adds_up(self) -> bool:
        """Whether the phases account for the service time."""
        return abs(self.accounted - 1) <= SUM_WITHIN


def profile(course: Course, passed: Sequence[Passed]) -> Profile:
    """Return the profile of requests. Raises ValueError where none is in order."""
    in_order: list[tuple[Passed, list[Stretch]]] = []
    for one in passed:
        try:
            in_order.append((one, stretches(course, one)))
        except Disorder:
            continue
    if not in_order:
        raise ValueError("no request passed its points in order")
    services = [one.service_ns for one, _ in in_order]
    phases = tuple(_phases(course, [found for _, found in in_order], services))
    return Profile(
        phases=phases,
        requests=len(in_order),
        disordered=len(passed) - len(in_order),
        service_us=float(np.median(services)) / 1000,
        accounted=float(np.median([_explained(found) / one.service_ns for one, found in in_order])),
        missing=_missing(course, [one for one, _ in in_order]),
    )


def _explained(found: Iterable[Stretch]) -> int:
    """Return the nanoseconds until the answer of which a course says what they were for."""
    named = (one for one in found if one.part == REQUEST and one.phase != UNEXPLAINED)
    return sum(one.end - one.start for one in named)


def _phases(
    course: Course, requests: Sequence[Sequence[Stretch]], services: Sequence[int]
) -> Iterable[Phase]:
    parts = {REQUEST: course.request, AFTERWARDS: course.afterwards}
    every = [(p, phase) for p, steps in parts.items() for phase in (*_names(steps), UNEXPLAINED)]
    names = list(dict.fromkeys(every))
    times = np.zeros((len(requests), len(names)))
    for number, found in enumerate(requests):
        for one in found:
            times[number, names.index((one.part, one.phase))] += one.end - one.start
    shares = np.median(times / np.array(services)[:, None], axis=0)
    met = [place for place in range(len(names)) if times[:, place].any()]
    for order, place in enumerate(met, 1):
        median, p90 = np.percentile(times[:, place] / 1000, [50, 90])
        yield Phase(*names[place], order, float(median), float(p90), float(shares[place]))


def _names(steps: Iterable[Step]) -> list[str]:
    return [step.phase for step in steps]


def _missing(course: Course, passed: Sequence[Passed]) -> tuple[str, ...]:
    steps = course.request + course.afterwards
    never = (
        step.phase
        for step in steps
        if step.by == _KERNEL and not any(step.point in one.points for one in passed)
    )
    return tuple(dict.fromkeys(never))
