"""A tenant's worker that is put back after each request, and the process that keeps it.

The starter's child becomes the *keeper*, the first process of its namespaces. It forks the worker,
and never runs a script, nor any Python again. The worker makes itself ready and *rests*, and that
state is the one that it begins each request in.
"""

from __future__ import annotations

import mmap
import os
import struct

from servers.http import Request
from servers.interpreter.context import (
    FileState,
    ScriptFailed,
    compile_script,
    open_script,
    state_of,
)
from servers.interpreter.embedded import Embedded
from servers.kernel import syscalls
from servers.mode import Limits
from servers.modes.groundhog import keeping
from servers.modes.router import messages
from servers.modes.router.tenant_worker import TenantWorker, _REHEARSAL
from servers.interpreter.child import WARMUP_SCRIPT
from servers.sites import Site

TYPE_CHECKING = False  # what mypy believes to be true, as that of `typing`
if TYPE_CHECKING:
    import signal
    import socket
    from collections.abc import Callable
    from types import CodeType
    from typing import Final, NoReturn
else:
    import _signal as signal
    import _socket as socket

_HEAD: Final = struct.Struct("<IBB10x")  # struct inbox of keeper.c
_LESSON: Final = ord("L")
_FIRST_DESCRIPTOR: Final = 3
_LAST_DESCRIPTOR: Final = 0xFFFF
_PR_SET_THP_DISABLE: Final = 41  # linux/prctl.h
_SLACK: Final = 64 * 1024
POOL_BYTES: Final = 64 * 1024 * 1024


_WARMUP = compile(open(WARMUP_SCRIPT,'rb').read(), WARMUP_SCRIPT, 'exec')


class Interpreter(Embedded):
    """The embedded interpreter of a worker that forgets: what it compiled would be lost as well.

    So it asks to be told of a new script in a time of its own, in which it does nothing but
    compile it, and which is kept.
    """

    def __init__(self, output_limit: int, code_cache: bool) -> None:
        super().__init__(output_limit, code_cache)
        self.ask_for_lesson: Callable[[bytes], object] | None = None
        self.rehearsed: CodeType | None = None

    def _code_of(self, path: bytes) -> CodeType:
        return self.rehearsed or super()._code_of(path)

    def _kept(self, path: bytes, state: FileState) -> CodeType | None:
        code = super()._kept(path, state)
        if code is None and self.ask_for_lesson is not None:
            self.ask_for_lesson(path)
        return code

    def learn(self, path: bytes) -> None:
        """Compile a script, and keep its code. It is no fault of ours where it cannot be."""
        try:
            descriptor = open_script(path)
        except OSError:
            return
        try:
            self._keep(path, state_of(descriptor), compile_script(descriptor, path))
        except ScriptFailed:
            pass
        finally:
            os.close(descriptor)


class RestingWorker(TenantWorker):
    """Answers requests for one site's scripts, each from the same state."""

    def __init__(
        self,
        run: Callable[[Request], bytes],
        limits: Limits,
        interpreter: Interpreter,
        keeper: keeping.Keeper,
        confine_calls: Callable[[], object],
    ) -> None:
        """`confine_calls` puts on the filter of all that scripts may not call."""
        super().__init__(run, limits)
        self._interpreter = interpreter
        self._keeper = keeper
        self._confine_calls = confine_calls

    def serve(self, channel: socket.socket, site: Site) -> None:
        """Fork the worker, and keep it until its end, or that of the channel."""
        limits = self._limits
        size = _HEAD.size + 2 * limits.head + limits.body + _SLACK
        inbox = mmap.mmap(-1, size, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
        file = os.memfd_create("pool", os.MFD_CLOEXEC)
        os.ftruncate(file, POOL_BYTES)
        pool = mmap.mmap(file, POOL_BYTES)
        shown = mmap.mmap(file, POOL_BYTES, prot=mmap.PROT_READ)
        places = keeping.address_of(inbox), keeping.address_of(pool), keeping.address_of(shown)
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        worker = os.fork()
        if worker == 0:
            pool.close()
            self._live(theirs.fileno(), inbox, site)
        theirs.close()
        os.close(file)
        syscalls.set_name("keeper")
        sizes = size, POOL_BYTES, messages.MOST_INSIDE, limits.output + _SLACK
        self._keeper.keep(channel.fileno(), ours.detach(), worker, places, sizes)

    def _live(self, socket: int, inbox: mmap.mmap, site: Site) -> NoReturn:
        status = 1
        try:
            os.dup2(socket, _FIRST_DESCRIPTOR)
            os.closerange(_FIRST_DESCRIPTOR + 1, _LAST_DESCRIPTOR)
            os.setsid()
            syscalls.prctl(syscalls.PR_SET_PDEATHSIG, signal.SIGKILL)
            syscalls.prctl(_PR_SET_THP_DISABLE, 1)
            # So that the keeper, which is the same user, may look at it.
            syscalls.prctl(syscalls.PR_SET_DUMPABLE, 1)
            self._mask = os.umask(0)
            os.umask(self._mask)
            self._keeper.submit(_FIRST_DESCRIPTOR)
            self._confine_calls()  # not before: it forbids what submitting takes
            self._rehearse_again(site)
            while True:
                self._keeper.rest()
                self._serve_one(inbox, site)
        finally:
            _show_exception()
            os._exit(status)

    def _rehearse_again(self, site: Site) -> None:
        self._interpreter.rehearsed = _WARMUP
        for _ in range(8):
            self.answer(_REHEARSAL, site)
        self._interpreter.rehearsed = None

    def _serve_one(self, inbox: mmap.mmap, site: Site) -> None:
        """Answer what is in the inbox, after which there is no return; or learn what is in it."""
        os.umask(self._mask)
        length, kind, is_last_try = _HEAD.unpack_from(inbox)
        content = inbox[_HEAD.size : _HEAD.size + length]
        if kind == _LESSON:
            self._interpreter.ask_for_lesson = None
            self._interpreter.learn(content)
            self._rehearse_again(site)
            return
        self._interpreter.ask_for_lesson = None if is_last_try else self._keeper.learn
        answered = self.answer(messages.request_in(content), site)
        flags = keeping.STAYS if answered.keep_alive else 0
        self._keeper.answer(answered.content, flags | (keeping.IS_LAST if answered.last else 0))


def _show_exception() -> None:
    import sys

    kind, error, trace = sys.exc_info()
    if kind and error:
        sys.__excepthook__(kind, error, trace)
