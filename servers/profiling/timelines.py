"""The course of a request through each mode: its phases in order, and the seams between them.

A *phase* is named here by the point at which it ends; it begins where the one before it ends. Some
points nobody in the server can stamp: those of a program that is executed (the traced script tells
them in its answer), and those that only the kernel sees (`by` says so). Where the kernel's view is
not to be had, such a point is absent, and its phase is part of the next one.

Adding a mode needs nothing here: without a course of its own, all that it does is one phase,
"handle". A course tells more (docs/profiling.md).
"""

from __future__ import annotations

from servers.interpreter.forked import ForkedScripts
from servers.mode import IsolationMode
from servers.profiling.journal import POINTS, Journal
from servers.typed import NamedTuple

TYPE_CHECKING = False  # what mypy believes to be true, as that of `typing`
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from typing import Any, Final

SERVER: Final = "server"
SCRIPT: Final = "script"
KERNEL: Final = "kernel"
CLIENT: Final = "client"


class Step(NamedTuple):
    """A phase, the point at which it ends, and who can tell when that was."""

    phase: str
    point: str
    by: str = SERVER


class Seam(NamedTuple):
    """A function, "module:name" or "module:Class.name", and the points at its start and end."""

    function: str
    start: str = ""
    end: str = ""


class Course(NamedTuple):
    """Phases until the client has its answer, those after it was sent, and a mode's own seams."""

    request: tuple[Step, ...]
    afterwards: tuple[Step, ...] = ()
    seams: tuple[Seam, ...] = ()


_FRONT: Final = (
    Step("accept", "accepted"),
    Step("receive", "received"),
    Step("parse", "parsed"),
    Step("locate", "located"),
)
_IN_SCRIPT: Final = (
    Step("imports", "imported", SCRIPT),
    Step("script", "printed", SCRIPT),
)
_EMBEDDED: Final = (
    Step("open script", "entered"),
    Step("enter script", "first line", SCRIPT),
    *_IN_SCRIPT,
    Step("leave script", "left"),
)
_BACK: Final = (Step("response", "rendered"), Step("delivery", "delivered", CLIENT))
_CREDENTIALS: Final = Step("credential change", "switched")
_SWITCH_BACK: Final = (Step("switch back", "cleaned"),)
_FORK: Final = (
    Step("prepare", "spawning"),
    Step("fork", "forked"),
    Step("close descriptors", "begun"),
)
_CHILD_ENDS: Final = (
    Step("answer", "exiting", KERNEL),
    Step("exit", "exited", KERNEL),
    Step("reap", "reaped"),
)
_REPLACED: Final = (
    Step("close connection", "exiting", KERNEL),
    Step("exit", "exited", KERNEL),
    Step("reap", "reaped"),
    Step("respawn", "respawned"),
    Step("start worker", "ready"),
)
_PROGRAM: Final = (
    Step("prepare", "spawning"),
    Step("fork", "born", KERNEL),
    Step("exec", "executed", KERNEL),
    Step("interpreter start", "first line", SCRIPT),
    *_IN_SCRIPT,
    Step("interpreter end", "exiting", KERNEL),
    Step("exit", "answered"),
)
_WRAPPED: Final = (
    *_PROGRAM[:2],
    Step("exec of wrapper", "wrapped", KERNEL),
    Step("credential change", "switched", KERNEL),
    Step("checks and exec", "executed", KERNEL),
    *_PROGRAM[3:],
)
_PROGRAM_ENDS: Final = (Step("reap", "reaped"),)

_SHARED_SEAMS: Final = (
    Seam("servers.front.worker:Worker._serve_connection", "accepted"),
    Seam("servers.http:RequestParser.feed", "received"),
    Seam("servers.front.worker:Worker._answer", "parsed"),
    Seam("servers.interpreter.context:Stage.perform", "entered", "left"),
    Seam("servers.front.worker:render", end="rendered"),
    Seam("servers.front.worker:reply", end="sent"),
)
_MODE_SEAMS: Final = (Seam("handle", "located", "handled"), Seam("cleanup", end="cleaned"))
_REPLACEMENT_SEAMS: Final = (
    Seam("servers.front.pool:Pool._replace", "reaped"),
    Seam("servers.front.worker:Worker.serve", "respawned"),
    Seam("servers.front.scoreboard:Slot.start", end="ready"),
)
_CHILD_SEAMS: Final = (Seam("servers.interpreter.forked:Jobs.response", "reaped"),)
_PROGRAM_SEAMS: Final = (
    Seam("servers.interpreter.cgi_program:Program.__init__", "spawning"),
    Seam("servers.interpreter.cgi_program:Program.read_output", end="answered"),
    Seam("servers.interpreter.cgi_program:Program.finish", end="reaped"),
)
_SWITCH_SEAM: Final = Seam("servers.kernel.credentials:Switch.to", end="switched")

_DSO: Final = Course((*_FRONT, *_EMBEDDED, *_BACK))
_SWITCHING: Final = (*_FRONT, _CREDENTIALS, *_EMBEDDED, *_BACK)

COURSES: Final[dict[str, Course]] = {
    "dso": _DSO,
    "safe_mode": _DSO,
    "ruid2": Course(_SWITCHING, _SWITCH_BACK, (_SWITCH_SEAM,)),
    "ruid2_drop": Course(
        _SWITCHING,
        _REPLACED,
        (
            Seam("servers.kernel.credentials:Switch.forbid_return", end="switched"),
            *_REPLACEMENT_SEAMS,
        ),
    ),
    "suid2": Course(
        _SWITCHING,
        _REPLACED,
        (Seam("servers.modes.suid2:become", end="switched"), *_REPLACEMENT_SEAMS),
    ),
    "hussa": Course(
        _SWITCHING, _SWITCH_BACK, (Seam("servers.modes.hussa:_Switch.to", end="switched"),)
    ),
    "suzuki": Course(
        (*_FRONT, Step("client's credential", "checked"), *_SWITCHING[len(_FRONT) :]),
        _SWITCH_BACK,
        (Seam("servers.modes.suzuki:Mode._client_of", end="checked"), _SWITCH_SEAM),
    ),
    "process_security": Course(
        (
            *_FRONT,
            Step("thread start", "begun"),
            _CREDENTIALS,
            *_EMBEDDED,
            Step("thread end", "joined"),
            *_BACK,
        ),
        (),
        (
            Seam("servers.modes.process_security:Mode.become", "begun", "switched"),
            Seam("servers.modes.process_security.content_thread:ContentThread.run", end="joined"),
        ),
    ),
    "process_security_shipped": Course(
        (
            *_FRONT,
            Step("thread start", "begun"),
            _CREDENTIALS,
            *_EMBEDDED,
            Step("thread end", "joined"),
            Step("switch back", "returned"),
            *_BACK,
        ),
        (),
        (
            Seam("servers.modes.process_security_shipped:Mode.become", "begun", "switched"),
            Seam("servers.modes.process_security.content_thread:ContentThread.run", end="joined"),
            Seam("servers.modes.process_security_shipped:Mode._go_back", end="returned"),
        ),
    ),
    "harache": Course(
        (*_FRONT, *_FORK, _CREDENTIALS, *_EMBEDDED, *_CHILD_ENDS, *_BACK),
        (),
        (Seam("servers.modes.harache:become", "begun", "switched"), *_CHILD_SEAMS),
    ),
    "sandbox": Course(
        (
            *_FRONT,
            *_FORK,
            Step("outer walls", "walled"),
            _CREDENTIALS,
            Step("inner walls", "confined"),
            *_EMBEDDED,
            *_CHILD_ENDS,
            *_BACK,
        ),
        (),
        (
            Seam("servers.modes.sandbox:Mode._wall_in", "begun", "confined"),
            Seam("servers.modes.sandbox:drop_for_good", "walled", "switched"),
            *_CHILD_SEAMS,
        ),
    ),
    "zygote": Course(
        (
            *_FRONT,
            Step("ask zygote", "spawning"),
            Step("fork", "forked"),
            Step("close descriptors", "begun"),
            _CREDENTIALS,
            Step("take job", "taken"),
            *_EMBEDDED,
            Step("answer", "answered"),
            *_BACK,
        ),
        (Step("have child reaped", "cleaned"),),
        (
            Seam("servers.modes.zygote:Zygote._send", "spawning"),
            Seam("servers.modes.zygote:read_answer", end="answered"),
        ),
    ),
    "fastcgi": Course(
        (
            *_FRONT,
            Step("get worker", "spawning"),
            Step("hand over", "taken"),
            *_EMBEDDED,
            Step("answer", "answered"),
            *_BACK,
        ),
        (),
        (
            Seam("servers.modes.fastcgi:ask", "spawning", "answered"),
            Seam("servers.modes.fastcgi.tenant_worker:_answer", "taken"),
        ),
    ),
    "cgi": Course((*_FRONT, *_PROGRAM, *_BACK), _PROGRAM_ENDS, _PROGRAM_SEAMS),
    "suexec": Course((*_FRONT, *_WRAPPED, *_BACK), _PROGRAM_ENDS, _PROGRAM_SEAMS),
}

_FREE_DESCRIPTOR: Final = 100
_ZYGOTE_SEAMS: Final = (
    Seam("servers.modes.zygote.zygote_process:set_all_ids", "begun", "switched"),
    Seam("servers.modes.zygote.zygote_process:_receive_job", end="taken"),
    Seam("servers.interpreter.context:Stage.perform", "entered", "left"),
)


def course_of(name: str) -> Course:
    """Return the course of the mode `name`: its own, or one in which all it does is one phase."""
    own = COURSES.get(name)
    return own or Course(
        (*_FRONT, Step("handle", "handled"), *_BACK), (Step("cleanup", "cleaned"),)
    )


def install(name: str, mode: IsolationMode, journal: Journal) -> None:
    """Have the server stamp what its requests pass. In the master, before the first fork."""
    course = course_of(name)
    journal.sew(_needed(course, (*_SHARED_SEAMS, *course.seams)))
    # Of this one object: its class stays what every other server runs.
    for method, start, end in _needed(course, _MODE_SEAMS):
        vars(mode)[method] = journal.stamped(getattr(mode, method), start, end)
    if name in ("harache", "sandbox"):
        _sew_fork(journal)
    if name == "zygote":
        _sew_zygote(journal)


def _needed(course: Course, seams: Iterable[Seam]) -> Iterator[Seam]:
    """Yield seams without the points that the course does not have: a stamp costs time."""
    points = {step.point for step in course.request + course.afterwards}
    if course.afterwards:
        points.add("sent")  # from where they are counted
    for function, *ends in seams:
        start, end = (point if point in points else "" for point in ends)
        if start or end:
            yield Seam(function, start, end)


def layout(name: str) -> dict[str, object]:
    """Return what a reader of the journal has to know, as JSON takes it."""
    course = course_of(name)
    return {
        "points": POINTS,
        "request": course.request,
        "afterwards": course.afterwards,
    }


def _sew_fork(journal: Journal) -> None:
    """Stamp before a child is made, and in it. By which call it is made, each object is told."""
    make = ForkedScripts.__init__

    def making(scripts: Any, *arguments: Any, **named: Any) -> None:
        make(scripts, *arguments, **named)
        scripts._fork = journal.forking(journal.stamped(scripts._fork, "spawning"), "forked")

    ForkedScripts.__init__ = making  # type: ignore[assignment, method-assign]


def _sew_zygote(journal: Journal) -> None:
    """Have the zygote stamp as well. It is a program of its own, and inherits the journal."""
    import fcntl  # here, since it is a library more for each fork to map

    from servers.modes import zygote

    # A copy that is inherited, out of the way of the descriptors that the zygote gets.
    file = fcntl.fcntl(journal.file, fcntl.F_DUPFD, _FREE_DESCRIPTOR)
    seams = [tuple(seam) for seam in _ZYGOTE_SEAMS]
    stamping = (
        f"from servers.profiling import journal as phases; journal = phases.Journal({file}); "
        f"journal.sew({seams!r}); import os; os.fork = journal.forking(os.fork, 'forked'); "
    )
    vars(zygote)["_PROGRAM"] = zygote._PROGRAM.replace("zygote.main()", f"{stamping}zygote.main()")
