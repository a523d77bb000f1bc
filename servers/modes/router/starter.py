"""The starter of tenants' workers: a small privileged process, out of the way of requests.

It forks a worker when the front asks for one, and ends one when the front asks for that. It reads
no byte that a client sent or a tenant wrote: a front tells it a site and an owner's uid, which must
agree with the site's directory. It is forked before the first request and rehearses what a worker
does, so that each new worker begins warm and shares its pages.

Messages between a front and the starter, each one packet of a Unix socket without a name:

- front, ``S``, number (8 bytes), uid (8 bytes), name of the site: start a worker;
- front, ``E``, number: end the worker of this number;
- starter, number (8 bytes), errno (4 bytes): the worker that you asked for. With it comes the
  descriptor of its channel, unless errno says why not.

A worker's death is learnt from its pidfd, and passed on by shutting its channel down, which reaches
the front even while a process that a script has left behind holds the other end open. The starter
waits for no process.
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
from servers.interpreter.embedded import ScriptFailed
from servers.kernel import syscalls
from servers.kernel.credentials import Identity
from servers.kernel.reaping import exit_code, has_ended, kill
from servers.mode import Setting
from servers.modes.router.tenant_worker import TenantWorker
from servers.sites import NotFound, Site, Sites

START: Final = struct.Struct("<cQQ")
END: Final = struct.Struct("<cQ")
STARTED: Final = struct.Struct("<QI")
STARTING: Final = b"S"
ENDING: Final = b"E"

_REGISTER: Final = b"F"
_READY: Final = b"."
_LONGEST_MESSAGE: Final = 512
_ENDS: Final = (os.CLD_EXITED, os.CLD_KILLED, os.CLD_DUMPED)
_DOOR: Final = 3
_CHANNEL: Final = 3
_ROOT: Final = Identity(0, 0)


class Gone(RuntimeError):
    """The starter has ended. Nobody can serve without it."""


class Makings(NamedTuple):
    """How workers are made: what the starter is confined by, how it forks, what the child becomes.

    `confine` is called once, in the starter; `fork` as os.fork; `become` in each child, and for
    good.
    """

    confine: Callable[[], None]
    fork: Callable[[], int]
    become: Callable[[Site], None]


# The master's end, and the front's


class Starter:
    """The running starter, as the master and the front see it."""

    def __init__(self, setting: Setting, worker: TenantWorker, makings: Makings, most: int) -> None:
        """Start it, for at most so many workers. In the master, as root. Raises Unavailable."""
        self._door, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        master = os.getpid()
        self.process = os.fork()
        if self.process == 0:
            _live(theirs, master, lambda door: _Service(door, setting, worker, makings, most))
        theirs.close()
        if self._door.recv(1) != _READY:
            os.waitpid(self.process, 0)
            raise Unavailable(
                "the starter of tenants' workers did not start", "read what the server wrote above"
            )

    def register(self) -> socket.socket:
        """Make the calling process a front; return its line to the starter. Raises Gone."""
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs, self._door:
            try:
                socket.send_fds(self._door, [_REGISTER], [theirs.fileno()])
            except ConnectionError:
                raise Gone("the starter of tenants' workers has ended") from None
        return ours


# The starter's own process


def _live(
    door: socket.socket, master: int, prepare: Callable[[socket.socket], _Service]
) -> NoReturn:
    status = 1
    try:
        syscalls.set_name("starter")
        syscalls.prctl(syscalls.PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != master:
            raise Gone("the master has ended")
        _keep_only(door.detach(), _DOOR)
        os.environ.clear()
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # a terminal's Ctrl-C is for the master
        service = prepare(socket.socket(fileno=_DOOR))
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


class _Worker:
    """A tenant's worker and what it has started, which is one process group."""

    def __init__(self, site: Site, process: int, channel: socket.socket) -> None:
        self.process = process
        self._uid = site.owner.uid
        self._channel = channel
        self._told_to_end = False
        with contextlib.suppress(PermissionError):  # it has made itself the leader of a session
            os.setpgid(process, process)
        self.death = os.pidfd_open(process)

    def tell(self, line: socket.socket, number: int) -> None:
        """Hand its channel to the front, unless that is gone."""
        with contextlib.suppress(OSError):
            message = STARTED.pack(number, 0)
            socket.send_fds(line, [message], [self._channel.fileno()], socket.MSG_DONTWAIT)

    def end(self) -> None:
        self._told_to_end = True
        self._kill()

    def bury(self) -> None:
        """Reap the dead process if its tracer lets us; let nobody wait for it."""
        self._kill()
        found, status = os.waitpid(self.process, os.WNOHANG)
        if not found:
            free_held_back(self.process, self._uid)  # `_Service._on_ends` reaps it then
        elif status and not self._told_to_end:
            _log(f"a worker of uid {self._uid} ended: {exit_code(status)}")
        with contextlib.suppress(OSError):  # ENOTCONN
            self._channel.shutdown(socket.SHUT_RDWR)
        self._channel.close()
        os.close(self.death)

    def _kill(self) -> None:
        """Kill the group; in a pid namespace of its own, all others end with its first process."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process, signal.SIGKILL)


class _Service:
    """What the starter does: wait for a front, for its messages, and for workers' deaths."""

    def __init__(
        self,
        door: socket.socket,
        setting: Setting,
        worker: TenantWorker,
        makings: Makings,
        most: int,
    ) -> None:
        self._door = door
        self._sites = Sites(setting.sites)
        self._tenant_worker = worker
        self._makings = makings
        self._most = most
        worker.rehearse()
        makings.confine()
        self._poll = select.epoll()
        self._handlers: dict[int, Callable[[], None]] = {}
        self._workers: dict[int, _Worker] = {}
        self._by_number: dict[tuple[socket.socket, int], _Worker] = {}
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
            self._watch(descriptor, partial(self._on_message, line))

    def _on_message(self, line: socket.socket) -> None:
        try:
            message = line.recv(_LONGEST_MESSAGE)
        except ConnectionError:
            message = b""
        kind = message[:1]
        if kind == STARTING and len(message) > START.size:
            _, number, uid = START.unpack_from(message)
            self._on_start(line, number, uid, message[START.size :])
        elif kind == ENDING and len(message) == END.size:
            worker = self._by_number.pop((line, END.unpack(message)[1]), None)
            if worker is not None:
                worker.end()
        else:  # the end, or what no front says
            self._on_end_of(line)

    def _on_end_of(self, line: socket.socket) -> None:
        """A front is gone: its workers, to which nobody talks any more, end as well."""
        for key in [key for key in self._by_number if key[0] is line]:
            self._by_number.pop(key).end()
        self._forget(line.fileno())
        line.close()

    def _on_start(self, line: socket.socket, number: int, uid: int, name: bytes) -> None:
        """Start a worker of a site's owner, and of nobody else; root's sites have none."""
        try:
            site = self._sites.find(name)
            if site.owner.uid != uid or 0 in site.owner[:2]:
                raise PermissionError(errno.EPERM, os.strerror(errno.EPERM))
            if len(self._workers) >= 2 * self._most:  # some of them may be about to end
                raise BlockingIOError(errno.EAGAIN, os.strerror(errno.EAGAIN))
            worker = self._start(site)
        except NotFound:
            self._refuse(line, number, errno.ENOENT)
        except ScriptFailed as error:  # a namespace that cannot be had
            _log(str(error))
            self._refuse(line, number, errno.ENOSPC)
        except OSError as error:
            self._refuse(line, number, error.errno or errno.EPERM)
        else:
            self._by_number[line, number] = worker
            worker.tell(line, number)

    def _refuse(self, line: socket.socket, number: int, reason: int) -> None:
        with contextlib.suppress(OSError):
            line.send(STARTED.pack(number, reason), socket.MSG_DONTWAIT)

    def _start(self, site: Site) -> _Worker:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            process = self._makings.fork()
            if process == 0:
                self._become_worker(site, theirs)
        worker = self._workers[process] = _Worker(site, process, ours)
        self._watch(worker.death, partial(self._on_death, worker))
        return worker

    def _on_death(self, worker: _Worker) -> None:
        del self._workers[worker.process]
        for key, other in tuple(self._by_number.items()):
            if other is worker:
                del self._by_number[key]
        self._forget(worker.death)
        worker.bury()

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

    def _become_worker(self, site: Site, channel: socket.socket) -> NoReturn:
        """Serve as the owner, with no descriptor but the channel and the standard streams."""
        status = 1
        try:
            os.dup2(channel.detach(), _CHANNEL, inheritable=False)
            os.closerange(_CHANNEL + 1, os.sysconf("SC_OPEN_MAX"))
            signal.pthread_sigmask(signal.SIG_UNBLOCK, (signal.SIGCHLD,))
            signal.signal(signal.SIGINT, signal.SIG_DFL)
            syscalls.set_name("tenant worker")
            self._makings.become(site)
            syscalls.prctl(syscalls.PR_SET_PDEATHSIG, signal.SIGKILL)
            family, kind = socket.AF_UNIX, socket.SOCK_SEQPACKET
            self._tenant_worker.serve(socket.socket(family, kind, 0, _CHANNEL), site)
            status = 0
        except ScriptFailed as error:  # a wall that cannot be had
            _log(str(error))
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
