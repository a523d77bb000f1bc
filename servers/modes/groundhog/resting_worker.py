"""A tenant's worker that is put back after each request, and the process that keeps it.

The starter's child becomes the *keeper*, the first process of its namespaces. It reads requests,
and runs no script. It forks the *worker*, which runs scripts, and nothing but what that takes: each
page that a request writes to has to be put back. The worker makes itself ready and *rests*; that
state is the one in which it begins each request.
"""

from __future__ import annotations

import marshal
import mmap
import os

from servers.http import Request
from servers.interpreter import child
from servers.interpreter.context import (
    FileState,
    ScriptFailed,
    Stage,
    compile_script,
    open_script,
    state_of,
)
from servers.kernel import syscalls
from servers.mode import Limits
from servers.modes.groundhog import keeping
from servers.modes.router import messages
from servers.modes.router.tenant_worker import TenantWorker
from servers.remembered import Bounded, size_of
from servers.sites import Site
from servers.typed import NamedTuple

TYPE_CHECKING = False  # what mypy believes to be true, as that of `typing`
if TYPE_CHECKING:
    import signal
    import socket
    import sys
    from collections.abc import Callable
    from types import CodeType
    from typing import Final
else:
    import _signal as signal
    import _socket as socket
    import sys

POOL_BYTES: Final = 24 * 1024 * 1024

_FIRST_DESCRIPTOR: Final = 3
_LAST_DESCRIPTOR: Final = 0xFFFF
_PR_SET_THP_DISABLE: Final = 41  # linux/prctl.h
_LENGTH: Final = 8  # struct inbox of keeper.c
_SLACK: Final = 64 * 1024
_MOST_KEPT_CODE: Final = 8 * 1024 * 1024  # what it takes is in the pool as well
_REHEARSALS: Final = 8
_LARGEST_ERRNO: Final = 0xFFFF
_WORDS: Final = {b"QUERY_STRING": b"rehearsal"}

# What a job asks for: to run the script, to say so where it has to be compiled first, or to compile
# it and run nothing.
RUN: Final = 0
RUN_IF_KNOWN: Final = 1
LEARN: Final = 2


class _Job(NamedTuple):
    path: bytes
    directory: bytes
    environment: dict[bytes, bytes]
    body: bytes

    def asking(self, kind: int) -> bytes:
        """Return the message that asks the worker for it."""
        return marshal.dumps((kind, *self))


class Performer:
    """What runs scripts in the worker: one after the other, each as if it were the first.

    What it compiled would be forgotten as well. So it says that a script is new to it, and learns
    the script in a time of its own, in which it does nothing but compile it, and which is kept.
    """

    def __init__(self, output_limit: int, keeps_code: bool, keeper: keeping.Keeper) -> None:
        self._limit = output_limit
        self._keeps_code = keeps_code
        self._keeper = keeper
        self._stage = Stage(output_limit)
        self._codes: Bounded[bytes, tuple[FileState, CodeType]] = Bounded(_MOST_KEPT_CODE)
        with open(child.WARMUP_SCRIPT, "rb") as file:
            self._warmup = compile(file.read(), child.WARMUP_SCRIPT, "exec", dont_inherit=True)

    def rehearse(self) -> None:
        """Run a script of our own, so that the interpreter has what it needs at hand."""
        for _ in range(_REHEARSALS):
            self._run(self._warmup, child.WARMUP_SCRIPT, b"/", _WORDS, b"")
            self._stage.strike()
            self._stage = Stage(self._limit)

    def perform(self, job: bytes) -> None:
        """Do a job, and say how it went, which is the end of it; or learn, and return."""
        kind, path, directory, environment, body = marshal.loads(job)
        if kind == LEARN:
            self._learn(path)
            self.rehearse()
            return
        try:
            code = self._code_of(path, kind)
            output = self._run(code, path, directory, environment, body)
            verdict = child.ANSWERED
        except ScriptFailed as error:
            verdict, output = child.FAILED, str(error).encode()
        except OSError as error:
            verdict, output = child.REFUSED, child.refusal(error)
        self._keeper.say(keeping.ANSWERS, verdict + output)

    def _run(
        self,
        code: CodeType,
        path: bytes,
        directory: bytes,
        environment: dict[bytes, bytes],
        body: bytes,
    ) -> bytes:
        os.chdir(directory)
        self._stage.set(path, environment, body)
        return self._stage.perform(code)

    def _code_of(self, path: bytes, kind: int) -> CodeType:
        descriptor = open_script(path)
        try:
            known = self._codes.get(path)
            if known is not None and known[0] == state_of(descriptor):
                return known[1]
            if kind == RUN_IF_KNOWN and self._keeps_code:
                self._keeper.say(keeping.LEARNS, b"")
            return compile_script(descriptor, path)
        finally:
            os.close(descriptor)

    def _learn(self, path: bytes) -> None:
        """Compile a script, and keep its code. Where it cannot be, whoever runs it says so."""
        descriptor = open_script(path)
        try:
            code = compile_script(descriptor, path)
            self._codes.keep(path, (state_of(descriptor), code), size_of(path) + size_of(code))
        except ScriptFailed:
            pass
        finally:
            os.close(descriptor)


class RestingWorker(TenantWorker):
    """Answers requests for one site's scripts, each of which runs from the same state."""

    def __init__(
        self,
        run: Callable[[Request], bytes],
        limits: Limits,
        performer: Performer,
        keeper: keeping.Keeper,
        filters: tuple[Callable[[], object], Callable[[], object]],
    ) -> None:
        """`run` calls `perform`; `filters` put on the keeper's and the script's filter."""
        super().__init__(run, limits)
        self._performer = performer
        self._keeper = keeper
        self._confine_keeper, self._confine_script = filters
        self._keeps = False
        self._is_touched = False

    def rehearse(self) -> None:
        """Do what keeper and worker will do, until the interpreter has filled its caches."""
        self._performer.rehearse()
        super().rehearse()
        self._performer.rehearse()

    def serve(self, channel: socket.socket, site: Site) -> None:
        """Fork the worker, and serve until its end, or that of the channel."""
        limits = self._limits
        inbox_bytes = 4 * limits.head + limits.body + _SLACK
        inbox = mmap.mmap(-1, inbox_bytes, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
        file = os.memfd_create("pool", os.MFD_CLOEXEC)
        os.ftruncate(file, POOL_BYTES)
        pool = mmap.mmap(file, POOL_BYTES)
        shown = mmap.mmap(file, POOL_BYTES, prot=mmap.PROT_READ)
        address_of = keeping.address_of
        places = address_of(inbox), address_of(pool), address_of(shown)
        sizes = inbox_bytes, POOL_BYTES, limits.output + _SLACK
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        reference = _forked(_stay)
        worker = _forked(lambda: self._live(theirs.fileno(), inbox, pool))
        theirs.close()
        os.close(file)
        syscalls.set_name("keeper")
        try:
            self._confine_keeper()
            descriptors, processes = (channel.fileno(), ours.detach()), (worker, reference)
            self._keeper.begin(descriptors, processes, places, sizes)
            self._keeps = True
            self._serve(channel, site)
        except keeping.Ended:
            status = os.waitpid(worker, os.WNOHANG)[1]
            os._exit(os.waitstatus_to_exitcode(status) & 0xFF)

    # In the keeper

    def _serve(self, channel: socket.socket, site: Site) -> None:
        while self._fit:
            self._keeper.await_request()
            asked = messages.take_request(channel)
            if asked is None:
                return
            self._answer(channel, asked, site)
            if self._is_touched and self._fit:
                self._is_touched = False
                self._put_back()

    def _answer(self, channel: socket.socket, asked: messages.Asked, site: Site) -> None:
        messages.answer(channel, self.answer(asked, site))

    def _put_back(self) -> None:
        self._keeper.put_back()

    def perform(self, request: Request, environment: dict[bytes, bytes]) -> bytes:
        """Have the worker run the request's script; return what it printed.

        In a rehearsal there is no worker. Raises ScriptFailed, OSError.
        """
        script = request.script
        job = _Job(script.path, script.directory, environment, request.body)
        if not self._keeps:
            marshal.loads(job.asking(RUN))
            return _printed(child.ANSWERED + b"\n")
        self._is_touched = True
        said, words = self._keeper.have_done(job.asking(RUN_IF_KNOWN))
        if said == keeping.LEARNS:
            words = self._teach(job)
        elif said != keeping.ANSWERS:
            raise keeping.Ended
        self._fit = not self._keeper.is_doomed()
        return _printed(words)

    def _teach(self, job: _Job) -> bytes:
        """Have the worker learn the script of a job, and do it then."""
        keeper = self._keeper
        keeper.put_back()
        lesson = job._replace(environment={}, body=b"")
        if keeper.have_done(lesson.asking(LEARN))[0] != keeping.RESTS:
            raise keeping.Ended
        keeper.keep_rest()
        said, words = keeper.have_done(job.asking(RUN))
        if said != keeping.ANSWERS:
            raise keeping.Ended
        return words

    # In the worker

    def _live(self, socket: int, inbox: mmap.mmap, pool: mmap.mmap) -> None:
        os.dup2(socket, _FIRST_DESCRIPTOR)
        os.closerange(_FIRST_DESCRIPTOR + 1, _LAST_DESCRIPTOR)
        pool.close()
        # Its own, and not what other workers have as well: an open file has flags.
        nothing = os.open(os.devnull, os.O_RDWR)
        os.dup2(nothing, 0)
        os.dup2(nothing, 1)
        os.close(nothing)
        os.setsid()
        syscalls.prctl(_PR_SET_THP_DISABLE, 1)
        # So that the keeper, which is the same user, may look at it.
        syscalls.prctl(syscalls.PR_SET_DUMPABLE, 1)
        self._keeper.submit(_FIRST_DESCRIPTOR)
        self._confine_script()  # not before: it forbids what submitting takes
        self._performer.rehearse()
        mask = os.umask(0)
        while True:
            self._keeper.rest()
            os.umask(mask)
            length = int.from_bytes(inbox[:_LENGTH], sys.byteorder)
            self._performer.perform(inbox[_LENGTH : _LENGTH + length])


def _stay() -> None:
    """Be the reference: what the worker was when it was forked."""
    os.closerange(0, _LAST_DESCRIPTOR)
    syscalls.prctl(syscalls.PR_SET_DUMPABLE, 1)
    while True:
        signal.pause()


def _printed(words: bytes) -> bytes:
    """Return what a script has printed. Raises ScriptFailed, OSError, as the worker says."""
    verdict, output = words[:1], words[1:]
    if verdict == child.ANSWERED:
        return output
    if verdict == child.REFUSED:
        number = int.from_bytes(output[: child.LENGTH], "little") & _LARGEST_ERRNO
        raise OSError(number, os.strerror(number))
    raise ScriptFailed(output.decode("utf-8", "replace"))


def _forked(live: Callable[[], object]) -> int:
    process = os.fork()
    if process:
        return process
    try:
        live()
    except BaseException:
        kind, error, trace = sys.exc_info()
        if kind and error:
            sys.__excepthook__(kind, error, trace)
    finally:
        os._exit(1)
