"""A tenant's worker that is put back after each request, and the process that keeps it.

The starter's child becomes the *keeper*, the first process of its namespaces. It passes requests on
and answers back, and looks into neither: what it does for each is in keeper.c, since a second
interpreter's work would cost as much again as the first one's. It forks the *worker*, which parses
requests and runs scripts. The worker makes itself ready and *rests*; that state is the one in which
it begins each request.
"""

from __future__ import annotations

import fcntl
import mmap
import os

from servers.http import BadRequest, Request
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
from servers.sites import NotFound, Site

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

# What a message begins with that asks the worker to get to know a script, and to run nothing.
_LESSON: Final = b"L"
_MOST_LESSONS: Final = 2  # of a request: a file may change meanwhile


class Performer:
    """What runs scripts in the worker: one after the other, each as if it were the first.

    What it compiled for one would be forgotten as well. So it gets to know a script in a time of
    its own, in which it does nothing but compile it and set the stage for it, and which is kept:
    it asks the keeper for that before it runs one that it does not know.
    """

    def __init__(self, output_limit: int, keeper: keeping.Keeper, keeps_code: bool) -> None:
        self._limit = output_limit
        self._keeper = keeper
        self._keeps_code = keeps_code
        self._stage = Stage(output_limit)
        self._stage_is_for = b""
        self._rehearses = True
        self._known: Bounded[bytes, FileState] = Bounded(_MOST_KNOWN)
        self._codes: Bounded[bytes, CodeType] = Bounded(_MOST_KEPT_CODE)
        with open(child.WARMUP_SCRIPT, "rb") as file:
            self._warmup = compile(file.read(), child.WARMUP_SCRIPT, "exec", dont_inherit=True)

    def rehearse(self) -> None:
        """Run a script of our own, so that the interpreter has what it needs at hand."""
        for _ in range(_REHEARSALS):
            self._perform(child.WARMUP_SCRIPT, self._warmup, _WORDS, b"")
            self._clear_stage()

    def begin(self) -> None:
        """From here on the keeper hears, and the process is put back."""
        self._rehearses = False

    def perform(self, request: Request, environment: dict[bytes, bytes]) -> bytes:
        """Run the request's script; return what it printed. Raises ScriptFailed, OSError."""
        path = request.script.path
        code = self._code_of(path)
        os.chdir(request.script.directory)
        try:
            output = self._perform(path, code, environment, request.body)
        except ScriptFailed:
            self._clear_stage()  # who tells the log needs a standard error that is open
            raise
        if self._rehearses:
            self._clear_stage()
        return output

    def _code_of(self, path: bytes) -> CodeType:
        """Return a script's code. Where it is not known, this asks back, and does not return."""
        descriptor = open_script(path)
        try:
            if self._keeps_code and self._known.get(path) != state_of(descriptor):
                if not self._rehearses:
                    self._keeper.say(keeping.ASKS_BACK, path)
                return self._warmup
            return self._codes.get(path) or compile_script(descriptor, path)
        finally:
            os.close(descriptor)

    def _perform(
        self, path: bytes, code: CodeType, environment: dict[bytes, bytes], body: bytes
    ) -> bytes:
        if self._stage_is_for != path:
            self._set_stage(path)
        self._stage.supply(environment, body)
        return self._stage.perform(code)

    def learn(self, path: bytes) -> None:
        """Keep a script's code, and set the stage. Whoever runs it says where that cannot be."""
        self._codes.forget(path)
        try:
            descriptor = open_script(path)
        except OSError:
            return
        try:
            state = state_of(descriptor)
            self._known.keep(path, state, size_of(path) + size_of(state))
            code = compile_script(descriptor, path)
        except (OSError, ScriptFailed):
            return
        finally:
            os.close(descriptor)
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


class RestingWorker(TenantWorker):
    """Answers requests for one site's scripts, each of which runs from the same state."""

    def __init__(
        self,
        run: Callable[[Request], bytes],
        limits: Limits,
        performer: Performer,
        keeper: keeping.Keeper,
        filters: tuple[Callable[[], object], Callable[[], object]],
        is_judged: bool,
        is_profiled: bool,
    ) -> None:
        """`run` calls `performer`; `filters` put on the keeper's and the script's filter."""
        super().__init__(run, limits, is_judged)
        self._performer = performer
        self._keeper = keeper
        self._confine_keeper, self._confine_script = filters
        self._is_profiled = is_profiled

    def rehearse(self) -> None:
        """Do what the worker will do, until the interpreter has filled its caches."""
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
        worker = detach.fork(lambda: self._live(theirs.fileno(), inbox, pool, site))
        syscalls.prctl(syscalls.PR_SET_DUMPABLE, 0)
        theirs.close()
        os.close(file)
        syscalls.set_name("keeper")
        try:
            self._confine_keeper()
            descriptors, processes = (channel.fileno(), ours.detach()), (worker, reference)
            self._keeper.begin(descriptors, processes, places, sizes)
            self._serve(channel)
        except keeping.Ended:
            status = os.waitpid(worker, os.WNOHANG)[1]
            os._exit(os.waitstatus_to_exitcode(status) & 0xFF)

    # In the keeper

    def _serve(self, channel: socket.socket) -> None:
        serve_one = self._serve_in_steps if self._is_profiled else self._serve_many
        while serve_one(channel):
            self._put_back()

    def _serve_many(self, channel: socket.socket) -> bool:
        """Serve requests up to one that is not a matter of the library alone, and that one."""
        said = self._keeper.serve()
        return said > 0 and self._answer(channel, said)

    def _serve_in_steps(self, channel: socket.socket) -> bool:
        """Serve one request, each step of which can be stamped."""
        return self._keeper.take_request() and self._answer(channel)

    def _answer(self, channel: socket.socket, said: int = 0) -> bool:
        """Have the worker answer what was taken; return whether it can be put back.

        `said` is what it has said already, if anything.
        """
        self._have_answered(said)
        goes_on = self._keeper.send_answer()
        if goes_on is not None:
            return goes_on
        answered = messages.answer_in(self._keeper.number(), self._keeper.words())
        doomed = answered.last or self._keeper.is_doomed()
        messages.answer(channel, answered._replace(last=doomed))
        return not doomed

    def _have_answered(self, said: int) -> None:
        said = said or self._keeper.ask()
        for _ in range(_MOST_LESSONS):
            if said != keeping.ASKS_BACK:
                break
            self._teach(self._keeper.words())
            said = self._keeper.ask()
        if said != keeping.ANSWERS:
            raise keeping.Ended

    def _teach(self, path: bytes) -> None:
        """Have the worker get to know a script, and be put back into that state from now on.

        A script may have asked for it, so the worker is put back before. That is part of the
        request, and not what follows an answer (`_put_back`, where the phase "restore" ends).
        """
        if self._keeper.is_doomed():
            raise keeping.Ended
        self._keeper.put_back()
        if self._keeper.have_done(_LESSON + path) != keeping.RESTS:
            raise keeping.Ended
        self._keeper.keep_rest()

    def _put_back(self) -> None:
        self._keeper.put_back()

    # In the worker

    def _live(self, socket: int, inbox: mmap.mmap, pool: mmap.mmap, site: Site) -> None:
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
        self._performer.begin()
        mask = os.umask(0)
        while True:
            self._keeper.rest()
            os.umask(mask)
            end = _LENGTH + int.from_bytes(inbox[:_LENGTH], sys.byteorder)
            self._respond(inbox[_LENGTH:end], site)

    def _learn(self, path: bytes, site: Site) -> None:
        """Get to know a script, and what its plain URL names. A path may be no name in a URL."""
        self._performer.learn(path)
        try:
            site.script(path.removeprefix(site.root))
        except (NotFound, BadRequest):
            return

    def _respond(self, message: bytes, site: Site) -> None:
        """Answer, which is the end of it; or learn, and return."""
        if message[:1] == _LESSON:
            self._learn(message[1:], site)
            return
        answered = self.answer(messages.asked_in(message), site)
        said = bytes((messages.flags_of(answered),)) + answered.content
        self._keeper.say(keeping.ANSWERS, said)


def _stay() -> None:
    """Be the reference: what the worker was when it was forked."""
    os.closerange(0, _LAST_DESCRIPTOR)
    while True:
        signal.pause()
