"""A tenant's worker that is put back after each request, and the process that keeps it.

The starter's child becomes the *keeper*, the first process of its namespaces. It reads requests,
and runs no script. It forks the *worker*, which runs scripts, and nothing but what that takes: each
page that a request writes to has to be put back. The worker makes itself ready and *rests*; that
state is the one in which it begins each request.
"""

from __future__ import annotations

import fcntl
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
from servers.kernel import detach, syscalls
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
_POOL_SEALS: Final = fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | 0x10  # F_SEAL_FUTURE_WRITE
_PR_SET_THP_DISABLE: Final = 41  # linux/prctl.h
_LENGTH: Final = 8  # struct inbox of keeper.c
_SLACK: Final = 64 * 1024
_MOST_KNOWN: Final = 1024 * 1024  # bytes
_MOST_KEPT_CODE: Final = 8 * 1024 * 1024  # what it takes is in the pool as well
_REHEARSALS: Final = 8
_LARGEST_ERRNO: Final = 0xFFFF
_WORDS: Final = {b"QUERY_STRING": b"rehearsal"}

# What a job asks for: to run a script, or to get to know it and run nothing.
RUN: Final = 0
LEARN: Final = 1


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

    What it compiled for one would be forgotten as well. So it gets to know a script in a time of
    its own, in which it does nothing but compile it and set the stage for it, and which is kept.
    """

    def __init__(self, output_limit: int, keeper: keeping.Keeper) -> None:
        self._limit = output_limit
        self._keeper = keeper
        self._stage = Stage(output_limit)
        self._stage_is_for = b""
        self._codes: Bounded[bytes, CodeType] = Bounded(_MOST_KEPT_CODE)
        with open(child.WARMUP_SCRIPT, "rb") as file:
            self._warmup = compile(file.read(), child.WARMUP_SCRIPT, "exec", dont_inherit=True)

    def rehearse(self) -> None:
        """Run a script of our own, so that the interpreter has what it needs at hand."""
        for _ in range(_REHEARSALS):
            self._set_stage(child.WARMUP_SCRIPT)
            self._stage.supply(_WORDS, b"")
            self._stage.perform(self._warmup)
        self._clear_stage()

    def perform(self, job: bytes) -> None:
        """Do a job, and say how it went, which is the end of it; or learn, and return."""
        kind, path, directory, environment, body = marshal.loads(job)
        if kind == LEARN:
            self._learn(path)
            return
        try:
            code = self._codes.get(path)
            if code is None:
                code = _compiled(path)
            os.chdir(directory)
            if self._stage_is_for != path:
                self._set_stage(path)
            self._stage.supply(environment, body)
            words = child.ANSWERED + self._stage.perform(code)
        except ScriptFailed as error:
            words = child.FAILED + str(error).encode()
        except OSError as error:
            words = child.REFUSED + child.refusal(error)
        self._keeper.say(keeping.ANSWERS, words)

    def _learn(self, path: bytes) -> None:
        """Keep a script's code, and set the stage. Whoever runs it says where that cannot be."""
        self._codes.forget(path)
        try:
            code = _compiled(path)
        except (OSError, ScriptFailed):
            return
        self._codes.keep(path, code, size_of(path) + size_of(code))
        self.rehearse()
        self._set_stage(path)

    def _set_stage(self, path: bytes) -> None:
        self._clear_stage()
        self._stage.set(path, {}, b"")
        self._stage_is_for = path

    def _clear_stage(self) -> None:
        if self._stage_is_for:
            self._stage.strike()
            self._stage = Stage(self._limit)
            self._stage_is_for = b""


def _compiled(path: bytes) -> CodeType:
    descriptor = open_script(path)
    try:
        return compile_script(descriptor, path)
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
        keeps_code: bool,
        filters: tuple[Callable[[], object], Callable[[], object]],
    ) -> None:
        """`run` calls `perform`; `filters` put on the keeper's and the script's filter."""
        super().__init__(run, limits)
        self._performer = performer
        self._keeper = keeper
        self._keeps_code = keeps_code
        self._confine_keeper, self._confine_script = filters
        self._keeps = False
        self._is_touched = False
        self._known: Bounded[bytes, FileState] = Bounded(_MOST_KNOWN)

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
        file = os.memfd_create("pool", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
        os.ftruncate(file, POOL_BYTES)
        pool = mmap.mmap(file, POOL_BYTES)
        # What the worker sees of it cannot be made writable, nor can a copy (memfd_create(2)).
        fcntl.fcntl(file, fcntl.F_ADD_SEALS, _POOL_SEALS)
        shown = mmap.mmap(file, POOL_BYTES, prot=mmap.PROT_READ)
        address_of = keeping.address_of
        places = address_of(inbox), address_of(pool), address_of(shown)
        sizes = inbox_bytes, POOL_BYTES, limits.output + _SLACK
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        # So that the keeper, which is the same user, may look at the two; nobody may look at it.
        syscalls.prctl(syscalls.PR_SET_DUMPABLE, 1)
        reference = detach.fork(_stay)
        worker = detach.fork(lambda: self._live(theirs.fileno(), inbox, pool))
        syscalls.prctl(syscalls.PR_SET_DUMPABLE, 0)
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
        state = _state_at(script.path)
        if not self._keeps:
            marshal.loads(job.asking(RUN))
            return _printed(child.ANSWERED + b"\n")
        if self._keeps_code and self._known.get(script.path) != state:
            self._teach(script.path, state)
        self._is_touched = True
        said, words = self._keeper.have_done(job.asking(RUN))
        if said != keeping.ANSWERS:
            raise keeping.Ended
        self._fit = not self._keeper.is_doomed()
        return _printed(words)

    def _teach(self, path: bytes, state: FileState) -> None:
        """Have the worker get to know a script, and be put back into that state from now on."""
        lesson = _Job(path, b"", {}, b"")
        if self._keeper.have_done(lesson.asking(LEARN))[0] != keeping.RESTS:
            raise keeping.Ended
        self._keeper.keep_rest()
        self._known.keep(path, state, size_of(path) + size_of(state))

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
    while True:
        signal.pause()


def _state_at(path: bytes) -> FileState:
    """Return the state of a script that this process may open. Raises OSError."""
    descriptor = open_script(path)
    try:
        return state_of(descriptor)
    finally:
        os.close(descriptor)


def _printed(words: bytes) -> bytes:
    """Return what a script has printed. Raises ScriptFailed, OSError, as the worker says."""
    verdict, output = words[:1], words[1:]
    if verdict == child.ANSWERED:
        return output
    if verdict == child.REFUSED:
        number = int.from_bytes(output[: child.LENGTH], "little") & _LARGEST_ERRNO
        raise OSError(number, os.strerror(number))
    raise ScriptFailed(output.decode("utf-8", "replace"))
