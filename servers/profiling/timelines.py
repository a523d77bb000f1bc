"""What timelines are made of: the phases of a request in order, and the probe points between them.

A *phase* is identified by the point at which it ends; it begins where the previous one ends. The
server cannot stamp some points: those of a program that is executed (the instrumented script
reports them in its answer), and those that only the kernel sees (`by` says which). Where the
kernel's view is unavailable, such a point is absent, and its phase is part of the next one.

A mode composes its own timeline (`IsolationMode.timeline`) from these parts; without one, it has
one phase, "handle" (docs/profiling.md).
"""

from __future__ import annotations

from servers.profiling.journal import POINTS
from servers.typed import NamedTuple

TYPE_CHECKING = False  # what mypy believes to be true, as that of `typing`
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from typing import Final

    from servers.mode import IsolationMode
    from servers.profiling.journal import Journal

SERVER: Final = "server"
SCRIPT: Final = "script"
KERNEL: Final = "kernel"
CLIENT: Final = "client"


class Step(NamedTuple):
    """A phase, the point at which it ends, and who can tell when that was."""

    phase: str
    point: str
    by: str = SERVER


class ProbePoint(NamedTuple):
    """A function, "module:name" or "module:Class.name", and the points at its start and end.

    `child` is for a function that forks: the point at which it returns 0.
    """

    function: str
    start: str = ""
    end: str = ""
    child: str = ""


class Timeline(NamedTuple):
    """Phases until the client has its answer, those after it, and the mode's own probe points.

    `executed` are probe points in a program that the mode executes instead of forking, and that
    runs the mode's `prelude` first.
    """

    request: tuple[Step, ...]
    afterwards: tuple[Step, ...] = ()
    probes: tuple[ProbePoint, ...] = ()
    executed: tuple[ProbePoint, ...] = ()


FRONT: Final = (
    Step("accept", "accepted"),
    Step("receive", "received"),
    Step("parse", "parsed"),
    Step("locate", "located"),
)
IN_SCRIPT: Final = (
    Step("imports", "imported", SCRIPT),
    Step("script", "printed", SCRIPT),
)
EMBEDDED: Final = (
    Step("open script", "entered"),
    Step("enter script", "first line", SCRIPT),
    *IN_SCRIPT,
    Step("leave script", "left"),
)
BACK: Final = (Step("response", "rendered"), Step("delivery", "delivered", CLIENT))
CREDENTIALS: Final = Step("credential change", "switched")
SWITCH_BACK: Final = (Step("switch back", "cleaned"),)
FORK: Final = (
    Step("prepare", "spawning"),
    Step("fork", "forked"),
    Step("close descriptors", "begun"),
)
CHILD_ENDS: Final = (
    Step("answer", "exiting", KERNEL),
    Step("exit", "exited", KERNEL),
    Step("reap", "reaped"),
)
REPLACED: Final = (
    Step("close connection", "exiting", KERNEL),
    Step("exit", "exited", KERNEL),
    Step("reap", "reaped"),
    Step("respawn", "respawned"),
    Step("start worker", "ready"),
)
PROGRAM: Final = (
    Step("prepare", "spawning"),
    Step("fork", "born", KERNEL),
    Step("exec", "executed", KERNEL),
    Step("interpreter start", "first line", SCRIPT),
    *IN_SCRIPT,
    Step("interpreter end", "exiting", KERNEL),
    Step("exit", "answered"),
)
WRAPPED: Final = (
    *PROGRAM[:2],
    Step("exec of wrapper", "wrapped", KERNEL),
    Step("credential change", "switched", KERNEL),
    Step("checks and exec", "executed", KERNEL),
    *PROGRAM[3:],
)
PROGRAM_ENDS: Final = (Step("reap", "reaped"),)

STAGE_PROBE: Final = ProbePoint("servers.interpreter.context:Stage.perform", "entered", "left")
_SHARED_PROBES: Final = (
    ProbePoint("servers.front.workers.worker:Worker._serve_connection", "accepted"),
    ProbePoint("servers.http:RequestParser.feed", "received"),
    ProbePoint("servers.front.workers.worker:Worker._answer", "parsed"),
    STAGE_PROBE,
    ProbePoint("servers.front.workers.replies:render", end="rendered"),
    ProbePoint("servers.front.workers.worker:reply", end="sent"),
)
_MODE_PROBES: Final = (
    ProbePoint("handle", "located", "handled"),
    ProbePoint("cleanup", end="cleaned"),
)
REPLACEMENT_PROBES: Final = (
    ProbePoint("servers.front.master.pool:Pool._replace", "reaped"),
    ProbePoint("servers.front.workers.worker:Worker.serve", "respawned"),
    ProbePoint("servers.front.shared_memory.scoreboard:Slot.start", end="ready"),
)
CHILD_PROBES: Final = (
    ProbePoint("servers.interpreter.forked:ForkedScripts._make_child", "spawning", child="forked"),
    ProbePoint("servers.interpreter.forked:Jobs.response", "reaped"),
)
PROGRAM_PROBES: Final = (
    ProbePoint("servers.interpreter.cgi_program:Program.__init__", "spawning"),
    ProbePoint("servers.interpreter.cgi_program:Program.read_output", end="answered"),
    ProbePoint("servers.interpreter.cgi_program:Program.finish", end="reaped"),
)
SWITCH_PROBE: Final = ProbePoint("servers.kernel.credentials:Switch.to", end="switched")

SWITCHING: Final = (*FRONT, CREDENTIALS, *EMBEDDED, *BACK)

UNDIVIDED: Final = Timeline(
    (*FRONT, Step("handle", "handled"), *BACK), (Step("cleanup", "cleaned"),)
)
"""All that a mode does is one phase."""

_FREE_DESCRIPTOR: Final = 100


def install(mode: IsolationMode, journal: Journal) -> None:
    """Have the server stamp what its requests pass. In the master, before the first fork."""
    timeline = mode.timeline()
    mode.journal = journal.file
    journal.instrument(_needed(timeline, (*_SHARED_PROBES, *timeline.probes)))
    # Of this one object: its class stays what every other server runs.
    for method, *points in _needed(timeline, _MODE_PROBES):
        vars(mode)[method] = journal.stamped(getattr(mode, method), *points)
    if timeline.executed:
        mode.prelude = _prelude(journal, _needed(timeline, timeline.executed))


def _needed(timeline: Timeline, probes: Iterable[ProbePoint]) -> Iterator[ProbePoint]:
    """Yield probe points without the points that the timeline does not have: a stamp costs time."""
    points = {step.point for step in timeline.request + timeline.afterwards}
    if timeline.afterwards:
        points.add("sent")  # from where they are counted
    for function, *given in probes:
        needed = [point if point in points else "" for point in given]
        if any(needed):
            yield ProbePoint(function, *needed)


def layout(timeline: Timeline) -> dict[str, object]:
    """Return what a reader of the journal has to know, as JSON takes it."""
    return {
        "points": POINTS,
        "request": timeline.request,
        "afterwards": timeline.afterwards,
    }


def _prelude(journal: Journal, probes: Iterable[ProbePoint]) -> str:
    """Return the statements by which an interpreter that is executed stamps as well.

    It inherits the journal.
    """
    import fcntl  # here, since it is a library more for each fork to map

    # A copy that is inherited, out of the way of the descriptors that the program gets.
    file = fcntl.fcntl(journal.file, fcntl.F_DUPFD, _FREE_DESCRIPTOR)
    return (
        "from servers.profiling import journal\n"
        f"journal.Journal({file}).instrument({[tuple(probe) for probe in probes]!r})\n"
    )
