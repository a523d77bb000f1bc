"""A script in a child that is forked for it: the worker prepares, the child runs, the worker reads.

Strategy: the price of a fork is pages. Each page that parent or child writes to while both live
has to be copied, each that the parent writes to afterwards at least faulted for, and in CPython
even reading an object writes to its page. So the parent does little between two forks; what does
not depend on the request is made once, before the first; and a rehearsal has the interpreter do
its lazy work there as well.

Rule: the worker, which may be root, never looks into what a script has made, beyond reading its
output. Compiled code comes back as bytes, which the next child for the same script unmarshals once
it has become the same owner. What the answer is written to, a file in memory, is made anew for each
request, so that a process that an earlier script has left behind cannot put anything into it.

It is a file and not a pipe, so that the worker need not wake up before the child has ended: from
then on the pages that the two shared are the worker's alone, and need not be copied any more.
"""

from __future__ import annotations

import os

from servers.http import Request, Response
from servers.interpreter import frozen_heap, pinned_pages
from servers.interpreter.child import (
    ANSWERED,
    LARGEST_KEPT_CODE,
    LENGTH,
    REFUSED,
    Job,
    Rehearsal,
    receive,
    run_and_exit,
)
from servers.interpreter.context import MOST_KEPT_CODE, Stage
from servers.interpreter.embedded import OutputTooLarge, ScriptFailed, note_compiling, parse_output
from servers.kernel.credentials import become, current
from servers.kernel.reaping import await_end, kill
from servers.remembered import Bounded
from servers.typed import NamedTuple

TYPE_CHECKING = False  # what mypy believes to be true, as that of `typing`
if TYPE_CHECKING:
    import signal
    from collections.abc import Callable
    from typing import Final
else:  # what it is made of, without `enum`
    import _signal as signal

_LARGEST_ERRNO: Final = 0xFFFF
_WORKERS_SIGNALS: Final = (signal.SIGALRM, signal.SIGUSR1)
_FIRST_LENGTH: Final = slice(1, 1 + LENGTH)
_SECOND_LENGTH: Final = slice(1 + LENGTH, 1 + 2 * LENGTH)
_HEAD: Final = 1 + 2 * LENGTH


class ForkedScripts:
    """Runs scripts in children of this worker, one at a time."""

    def __init__(
        self, output_limit: int, code_cache: bool, fork: Callable[[], int] = os.fork
    ) -> None:
        """`fork` makes the child, as os.fork does; a mode may make it in other namespaces."""
        self._output_limit = output_limit
        self._fork = fork
        self._jobs = Jobs(code_cache)
        self._stage = Stage(output_limit, ends_process=True)
        self._child = 0

    def run(
        self, request: Request, environment: dict[bytes, bytes], enter: Callable[[], object]
    ) -> Response:
        """Run the request's script in a child, after `enter` has changed its identity there.

        Raises what `Embedded.run` raises, and ScriptFailed when the child ends without an answer.
        `kill` must follow, in any case.
        """
        job = self._jobs.of(request, environment)
        paper = os.memfd_create("answer")
        try:
            self._child = self._make_child()
            if self._child == 0:
                _forget_signals()
                run_and_exit(paper, self._stage, enter, lambda: job)
            await_end(self._child)
            self._child = 0
            os.lseek(paper, 0, os.SEEK_SET)
            answer = read_answer(paper, self._output_limit)
        finally:
            os.close(paper)
        return self._jobs.response(job, answer)

    def _make_child(self) -> int:
        """Fork; a profile stamps here, whatever it is that forks."""
        return self._fork()

    def rehearse(self) -> None:
        """Prepare this process for its children. Once, with the identity that it has now."""
        rehearsal = Rehearsal(lambda: become(current()))
        rehearsal.until_warm()
        frozen_heap.freeze()
        pinned_pages.arrange(rehearsal.once)

    def kill(self) -> None:
        """End a child that has not come to its end, because its time was up."""
        if self._child:
            kill(self._child)
            await_end(self._child)
            self._child = 0


def _forget_signals() -> None:
    """Take the default actions in the place of the worker's own.

    Those look at the scoreboard, which a child does not have: an alarm of its own would crash it.
    """
    for number in _WORKERS_SIGNALS:
        signal.signal(number, signal.SIG_DFL)


class Answer(NamedTuple):
    """What a child sent, not to be trusted."""

    verdict: bytes
    output: bytes
    code: bytes


class Jobs:
    """Makes jobs of requests, and responses of answers; keeps compiled code in between."""

    def __init__(self, code_cache: bool) -> None:
        self._code_cache = code_cache
        self.compiled: Bounded[bytes, bytes] = Bounded(MOST_KEPT_CODE)

    def of(self, request: Request, environment: dict[bytes, bytes]) -> Job:
        """Return the job of running the request's script."""
        script = request.script
        compiled = self.compiled.get(script.path, b"")
        directory = script.directory
        return Job(script.path, directory, environment, request.body, compiled, self._code_cache)

    def response(self, job: Job, answer: Answer) -> Response:
        """Return the response that a child's answer stands for. Raises OSError, ScriptFailed."""
        if answer.code:
            note_compiling()
            size = len(job.path) + len(answer.code)
            self.compiled.keep(job.path, answer.code, size)
        if answer.verdict == ANSWERED:
            return parse_output(answer.output)
        if answer.verdict == REFUSED:
            number = int.from_bytes(answer.output[:LENGTH], "little") & _LARGEST_ERRNO
            raise OSError(number, os.strerror(number))
        raise ScriptFailed(answer.output.decode("utf-8", "replace"))


def read_answer(descriptor: int, output_limit: int) -> Answer:
    """Read a child's answer, whose sender may be hostile. Raises ScriptFailed."""
    received = receive(descriptor, b"", _HEAD)
    printed = int.from_bytes(received[_FIRST_LENGTH], "little")
    kept = int.from_bytes(received[_SECOND_LENGTH], "little")
    if printed > output_limit:
        raise OutputTooLarge(f"the script printed more than {output_limit} bytes")
    if kept > LARGEST_KEPT_CODE:
        raise ScriptFailed("its process sent a malformed answer")
    end = _HEAD + printed
    received = receive(descriptor, received, end + kept)
    return Answer(received[:1], received[_HEAD:end], received[end : end + kept])
