"""What a child does that was forked for one script: become the tenant, run it, answer, end.

Rule: the child has no descriptor but the standard streams and the one that its answer goes
through. Neither the client's connection nor the listening socket are a script's to touch.

Imports next to nothing, as `context`.
"""

from __future__ import annotations

import marshal
import os

from servers.interpreter.context import ScriptFailed, Stage, compile_script, open_script, state_of

TYPE_CHECKING = False  # what mypy believes to be true, as that of `typing`
if TYPE_CHECKING:
    from collections.abc import Callable
    from types import CodeType
    from typing import Final, NoReturn

ANSWERED: Final = b"A"
FAILED: Final = b"F"
REFUSED: Final = b"R"
LENGTH: Final = 8
LARGEST_KEPT_CODE: Final = 1024 * 1024

# A short read comes first: memory for a long one would grow the heap, a page fault more each.
_SHORT: Final = 8 * 1024
_LONG: Final = 64 * 1024
_FIRST_DESCRIPTOR: Final = 3
_LAST_DESCRIPTOR: Final = 0xFFFF
# The interpreter adapts code that ran eight times, and what it adapts needs a few more to settle
# (PEP 659, and the counters in CPython's pycore_code.h).
REHEARSALS: Final = 24
WARMUP_SCRIPT: Final = os.fsencode(os.path.join(os.path.dirname(__file__), "warmup_script.py"))


class Job:
    """One script to run.

    `compiled` is what an earlier child for the same script handed back, or nothing; `keep_code`
    says whether this one shall.
    """

    __slots__ = ("body", "compiled", "directory", "environment", "keep_code", "path")

    def __init__(
        self,
        path: bytes,
        directory: bytes,
        environment: dict[bytes, bytes],
        body: bytes = b"",
        compiled: bytes = b"",
        keep_code: bool = True,
    ) -> None:
        self.path = path
        self.directory = directory
        self.environment = environment
        self.body = body
        self.compiled = compiled
        self.keep_code = keep_code


def run_and_exit(
    answer: int, stage: Stage, enter: Callable[[], object], take_job: Callable[[], Job]
) -> NoReturn:
    """Do all that a child does, and write to the descriptor `answer` how it went.

    `enter` changes its identity; what `take_job` reads, it reads as the tenant.
    """
    verdict, output, fresh = FAILED, b"its process could not be prepared", b""
    try:
        os.closerange(_FIRST_DESCRIPTOR, answer)
        os.closerange(answer + 1, _LAST_DESCRIPTOR)
        enter()
        output, fresh = run(take_job(), stage)
        verdict = ANSWERED
    except ScriptFailed as error:
        output = str(error).encode()
    except OSError as error:
        verdict, output = REFUSED, refusal(error)
    finally:
        try:
            write(answer, message(verdict, output, fresh))
        finally:  # the script closed it, or the reader did because time was up
            os._exit(0)


def run(job: Job, stage: Stage) -> tuple[bytes, bytes]:
    """Run a script here; return what it printed, and compiled code that is worth keeping.

    Raises ScriptFailed, and OSError when the script cannot be opened.
    """
    code, fresh = _code_of(job)
    os.chdir(job.directory)
    stage.set(job.path, job.environment, job.body)
    return stage.perform(code), fresh


class Rehearsal:
    """A script of our own, run as children run theirs, in a process that will be forked for each.

    Until it has been run some times the interpreter fills caches and adapts its code. Otherwise
    each child would do the same anew, in copies of pages that end with it.
    """

    def __init__(self, enter: Callable[[], object]) -> None:
        """`enter` is what children do to change their identity, but to the one that is there."""
        self._enter = enter
        here = os.fsencode(os.getcwd())
        environment = {b"QUERY_STRING": b"rehearsal"}
        self._job = Job(WARMUP_SCRIPT, here, environment)

    def until_warm(self) -> None:
        """Run it as often as it takes."""
        for _ in range(REHEARSALS):
            self.once()

    def once(self) -> None:
        """Run it here, and put everything back."""
        self._enter()
        stage = Stage(limit=1024)
        try:
            output, fresh = run(self._job, stage)
        finally:
            stage.strike()
        self._job.compiled = fresh or self._job.compiled
        message(ANSWERED, output)


def message(verdict: bytes, output: bytes, code: bytes = b"") -> bytes:
    """Return an answer as it is sent: a verdict, two lengths, and that many bytes of each."""
    lengths = len(output).to_bytes(LENGTH, "little") + len(code).to_bytes(LENGTH, "little")
    return b"".join((verdict, lengths, output, code))


def refusal(error: OSError) -> bytes:
    """Return what an answer says of an error of the system."""
    return (error.errno or 0).to_bytes(LENGTH, "little")


def write(descriptor: int, content: bytes) -> None:
    """Write all of `content`."""
    written = os.write(descriptor, content)
    if written < len(content):
        rest = memoryview(content)[written:]
        while rest:
            rest = rest[os.write(descriptor, rest) :]


def receive(descriptor: int, received: bytes, length: int) -> bytes:
    """Return `received` and what follows it, until that is `length` bytes or more.

    Raises ScriptFailed when it ends before.
    """
    parts = [received]
    missing = length - len(received)
    while missing > 0:
        chunk = os.read(descriptor, _SHORT if missing < _SHORT else _LONG)
        if not chunk:
            raise ScriptFailed("its process ended before it answered")
        parts.append(chunk)
        missing -= len(chunk)
    return b"".join(parts)


def _code_of(job: Job) -> tuple[CodeType, bytes]:
    """Return a script's code, and what of it shall be kept."""
    descriptor = open_script(job.path)
    try:
        state = state_of(descriptor)
        if job.compiled:
            kept_state, code = marshal.loads(job.compiled)
            if kept_state == state:
                return code, b""
        code = compile_script(descriptor, job.path)
    finally:
        os.close(descriptor)
    fresh = marshal.dumps((state, code)) if job.keep_code else b""
    return code, fresh if len(fresh) <= LARGEST_KEPT_CODE else b""
