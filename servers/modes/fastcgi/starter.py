"""The starter of tenant workers: a small privileged process, and the one that knows them all.

It forks a worker when a front asks for one, which becomes the tenant for good and runs nothing
else, and it keeps the table of `leases`. It reads no byte that a client sent or a tenant wrote: a
front tells it a site and an owner's uid, which must agree with the site's directory, and what a
worker says goes to the front. Of root's power it has three capabilities.

Messages between a front and the starter, each one packet of a Unix socket without a name:

- front, ``A``, number (8 bytes), uid (8 bytes), name of the site: give me a worker of this owner,
  and take back the one I have;
- front, ``B``: take back the worker I have, or withdraw what I asked for;
- front, ``D``: end the worker I have;
- starter, number (8 bytes), errno (4 bytes): what you asked for under this number. With it comes
  the descriptor of the worker's channel, unless errno says why not.
- starter, SIGUSR2: send ``B`` as soon as you are in no request.

A worker's death is learnt from its pidfd, and passed on by shutting its channel down: that reaches
a front that waits for the answer, even while a process that a script has left behind holds the
other end open. Whether it can be reaped is another question, since a tracer may hold its end back:
SIGCHLD tells, also of the children that scripts give to the starter (CLONE_PARENT). The starter
waits for none of them.
"""

from __future__ import annotations

import contextlib
import errno
import gc
import os
import select
import signal
import socket
import struct
import sys
from collections.abc import Callable
from functools import partial
from typing import Final, NamedTuple, NoReturn

from servers.errors import Unavailable
from servers.front.oversight import free_held_back
from servers.interpreter.embedded import Embedded
from servers.kernel import keyring, syscalls
from servers.kernel.confinement import restrain
from servers.kernel.credentials import Identity, become
from servers.kernel.reaping import exit_code, has_ended, kill
from servers.mode import Setting
from servers.modes.fastcgi.leases import Front, Leases, TenantWorker
from servers.modes.fastcgi.tenant_worker import serve
from servers.sites import NotFound, Sites

ASK: Final = struct.Struct("<cQQ")
ANSWER: Final = struct.Struct("<QI")
ASKING: Final = b"A"
GIVING_BACK: Final = b"B"
DISCARDING: Final = b"D"
RECALL: Final = signal.SIGUSR2

_REGISTER: Final = b"F"
_READY: Final = b"."
_LONGEST_MESSAGE: Final = 512
_CREDENTIALS: Final = struct.Struct("3i")  # unix(7), SO_PEERCRED: pid, uid, gid
_ENDS: Final = (os.CLD_EXITED, os.CLD_KILLED, os.CLD_DUMPED)
_DOOR: Final = 3
_CHANNEL: Final = 3
_ROOT: Final = Identity(0, 0)
_NEEDED: Final = syscalls.capability_mask(
    syscalls.CAP_SETUID, syscalls.CAP_SETGID, syscalls.CAP_KILL
)


class Allowance(NamedTuple):
    """How many tenant workers there may be, in all and of one tenant, and how long one may idle."""

    bound: int
    per_tenant: int
    idle_seconds: int


class Gone(RuntimeError):
    """The starter has ended. Nobody can serve without it."""


# The master's end, and the fronts'


class Starter:
    """The running starter, as master and fronts see it."""

    def __init__(self, setting: Setting, allowance: Allowance) -> None:
        """Start it. In the master, as root. Raises Unavailable."""
        self._door, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        master = os.getpid()
        self.process = os.fork()
        if self.process == 0:
            _live(theirs, master, setting, allowance)
        theirs.close()
        if self._door.recv(1) != _READY:
            os.waitpid(self.process, 0)
            raise Unavailable(
                "the starter of tenant workers did not start", "read what the server wrote above"
            )

    def register(self) -> socket.socket:
        """Make the calling process a front; return its line to the starter. Called once in each.

        For a front to be recalled it must heed RECALL from then on. Raises Gone.
        """
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs, self._door:
            try:
                socket.send_fds(self._door, [_REGISTER], [theirs.fileno()])
            except ConnectionError:
                raise Gone("the starter of tenant workers has ended") from None
        return ours


# The starter's own process


def _live(door: socket.socket, master: int, setting: Setting, allowance: Allowance) -> NoReturn:
    status = 1
    try:
        syscalls.set_name("starter")
        syscalls.prctl(syscalls.PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != master:
            raise Gone("the master has ended")
        _keep_only(door.detach(), _DOOR)
        os.environ.clear()
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # a terminal's Ctrl-C is for the master
        restrain(setting.sites, _NEEDED)
        service = _Service(socket.socket(fileno=_DOOR), setting, allowance)
        gc.collect()
        gc.freeze()  # or a collection in a worker would copy every page of objects
        service.run()
        status = 0
    except BaseException:
        _show_exception()
    finally:
        os._exit(status)


def _keep_only(descriptor: int, number: int) -> None:
    """Keep the standard error, and one descriptor, under this number."""
    os.dup2(descriptor, number)
    os.closerange(number + 1, os.sysconf("SC_OPEN_MAX"))
    nothing = os.open(os.devnull, os.O_RDWR)
    os.dup2(nothing, 0)
    os.dup2(nothing, 1)
    os.close(nothing)


class _Front(Front):
    """A front, at the other end of its line."""

    def __init__(self, line: socket.socket) -> None:
        self.line = line
        self.number = 0
        process, _, _ = _CREDENTIALS.unpack(
            line.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
        )
        self._process = os.pidfd_open(process)

    def grant(self, worker: TenantWorker) -> None:
        self._answer(0, [worker.descriptor])

    def refuse(self, error: OSError) -> None:
        self._answer(error.errno or errno.EPERM, [])

    def recall(self) -> None:
        with contextlib.suppress(ProcessLookupError):  # what it has is taken when its line ends
            signal.pidfd_send_signal(self._process, RECALL)

    def _answer(self, number: int, descriptors: list[int]) -> None:
        """Answer, unless the front is gone, or does not listen and will run into its time limit."""
        with contextlib.suppress(OSError):
            message = ANSWER.pack(self.number, number)
            socket.send_fds(self.line, [message], descriptors, socket.MSG_DONTWAIT)

    def close(self) -> None:
        self.line.close()
        os.close(self._process)


class _Worker(TenantWorker):
    """A tenant's worker and what it has started, which is one process group."""

    def __init__(self, tenant: Identity, process: int, channel: socket.socket) -> None:
        super().__init__(tenant, channel.fileno())
        self.process = process
        self._channel = channel
        self._told_to_end = False
        os.setpgid(process, process)
        self.death = os.pidfd_open(process)

    def end(self) -> None:
        self._told_to_end = True
        self._kill_group()

    def bury(self) -> None:
        """Reap the dead process if its tracer lets us; let nobody wait for it."""
        self._kill_group()
        found, status = os.waitpid(self.process, os.WNOHANG)
        if not found:
            free_held_back(self.process, self.tenant.uid)  # `_Service._on_end` reaps it then
        elif status and not self._told_to_end:
            _log(f"a worker of uid {self.tenant.uid} ended: {exit_code(status)}")
        with contextlib.suppress(OSError):  # ENOTCONN
            self._channel.shutdown(socket.SHUT_RDWR)
        self._channel.close()
        os.close(self.death)

    def _kill_group(self) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process, signal.SIGKILL)


class _Service:
    """What the starter does: wait for fronts, for their messages, and for workers' deaths."""

    def __init__(self, door: socket.socket, setting: Setting, allowance: Allowance) -> None:
        self._door = door
        self._sites = Sites(setting.sites)
        self._interpreter = Embedded(setting.limits.output, setting.code_cache)
        self._patience = struct.pack("ll", allowance.idle_seconds, 0)
        self._leases = Leases(self._start, allowance.bound, allowance.per_tenant)
        self._poll = select.epoll()
        self._handlers: dict[int, Callable[[], None]] = {}
        self._workers: dict[int, _Worker] = {}
        signal.pthread_sigmask(signal.SIG_BLOCK, (signal.SIGCHLD,))
        self._ends = syscalls.signalfd((signal.SIGCHLD,))

    def run(self) -> None:
        """Serve until the master is gone."""
        self._watch(self._door.fileno(), self._on_door)
        self._watch(self._ends, self._on_ends)
        self._door.send(_READY)
        while self._handlers:
            # One at a time: to handle it may close the descriptor of the next.
            for descriptor, _ in self._poll.poll(maxevents=1):
                self._handlers[descriptor]()

    def _watch(self, descriptor: int, handler: Callable[[], None]) -> None:
        self._poll.register(descriptor, select.EPOLLIN)
        self._handlers[descriptor] = handler

    def _forget(self, descriptor: int) -> None:
        self._poll.unregister(descriptor)
        del self._handlers[descriptor]

    def _on_door(self) -> None:
        message, descriptors, _, _ = socket.recv_fds(self._door, len(_REGISTER), 1)
        if not message:
            raise Gone("the master has ended")
        for descriptor in descriptors:
            line = socket.socket(fileno=descriptor)
            try:
                front = _Front(line)
            except OSError:  # it is gone already
                line.close()
            else:
                self._watch(descriptor, partial(self._on_message, front))

    def _on_message(self, front: _Front) -> None:
        try:
            message = front.line.recv(_LONGEST_MESSAGE)
        except ConnectionError:
            message = b""
        kind = message[:1]
        if kind == ASKING and len(message) > ASK.size:
            _, front.number, uid = ASK.unpack_from(message)
            self._on_ask(front, uid, message[ASK.size :])
        elif kind == GIVING_BACK:
            self._leases.give_back(front)
        elif kind == DISCARDING:
            self._leases.discard(front)
        else:  # the end, or what no front says
            self._leases.discard(front)
            self._forget(front.line.fileno())
            front.close()

    def _on_ask(self, front: _Front, uid: int, name: bytes) -> None:
        """Let a front ask for a site's owner, and for nobody else; root's sites have no worker."""
        try:
            owner = self._sites.find(name).owner
        except NotFound:
            owner = _ROOT
        if owner.uid != uid or 0 in (owner.uid, owner.gid):
            self._leases.give_back(front)
            front.refuse(PermissionError(errno.EPERM, os.strerror(errno.EPERM)))
        else:
            self._leases.ask(front, owner)

    def _start(self, tenant: Identity) -> _Worker:
        ours, theirs = socket.socketpair()
        with theirs:
            theirs.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, self._patience)
            process = os.fork()
            if process == 0:
                self._become_worker(tenant, theirs)
        worker = self._workers[process] = _Worker(tenant, process, ours)
        self._watch(worker.death, partial(self._on_death, worker))
        return worker

    def _on_death(self, worker: _Worker) -> None:
        del self._workers[worker.process]
        self._forget(worker.death)
        worker.bury()
        self._leases.ended(worker)

    def _on_ends(self) -> None:
        """Reap whatever has ended."""
        syscalls.read_signals(self._ends)
        with contextlib.suppress(ChildProcessError):
            while found := os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT):
                self._on_end(found.si_pid, found.si_code)

    def _on_end(self, process: int, code: int) -> None:
        """Reap a child; bury it where it is a worker whose pidfd has not been looked at yet.

        What has stopped instead has made us its tracer (ptrace(2), PTRACE_TRACEME): it is killed.
        """
        if process in self._workers and code in _ENDS:
            self._on_death(self._workers[process])
            return
        _, status = os.waitpid(process, os.WNOHANG)
        if not has_ended(status):
            kill(process)

    def _become_worker(self, tenant: Identity, channel: socket.socket) -> NoReturn:
        """Serve as `tenant`, with no descriptor but the channel and the standard streams."""
        status = 1
        try:
            os.dup2(channel.detach(), _CHANNEL, inheritable=False)
            os.closerange(_CHANNEL + 1, os.sysconf("SC_OPEN_MAX"))
            signal.pthread_sigmask(signal.SIG_UNBLOCK, (signal.SIGCHLD,))
            signal.signal(signal.SIGINT, signal.SIG_DFL)
            syscalls.set_name("tenant worker")
            keyring.join_new()
            become(tenant)
            syscalls.prctl(syscalls.PR_SET_PDEATHSIG, signal.SIGKILL)
            serve(_CHANNEL, self._interpreter)
            status = 0
        except BaseException:
            _show_exception()
        finally:
            os._exit(status)


def _show_exception() -> None:
    kind, error, trace = sys.exc_info()
    if kind and error:
        sys.__excepthook__(kind, error, trace)


def _log(text: str) -> None:
    with contextlib.suppress(OSError):  # scripts share the open file, see `pool`
        print(f"[starter] {text}", file=sys.stderr, flush=True)
