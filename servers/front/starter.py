"""A starter of tenants' workers: a small privileged process, out of the way of clients.

It forks a worker when a front asks for one. It reads no byte that a client sent or a tenant wrote:
a front tells it a site and an owner's uid, which must agree with the site's directory. What else
fronts may say, and who gets which worker, is a mode's to define in a `Service` of its own.

The starter is forked before the first request. What its `Service` has rehearsed by then is warm in
each worker, and their pages are shared.

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
import sys
from abc import ABC, abstractmethod
from collections.abc import Callable
from functools import partial
from typing import Final

from servers.errors import Unavailable
from servers.front.oversight import free_held_back
from servers.interpreter.embedded import ScriptFailed
from servers.kernel import detach, syscalls
from servers.kernel.credentials import Identity
from servers.kernel.reaping import exit_code, reap_others
from servers.sites import Site, Sites

_REGISTER: Final = b"F"
_READY: Final = b"."
_LONGEST_MESSAGE: Final = 512
_DOOR: Final = 3
_CHANNEL: Final = 3


class Gone(RuntimeError):
    """The starter has ended. Nobody can serve without it."""

    def __init__(self) -> None:
        super().__init__("the starter of tenants' workers has ended")


# The master's end, and the fronts'


class Starter:
    """The running starter, as the master and the fronts see it."""

    def __init__(self, prepare: Callable[[socket.socket], Service]) -> None:
        """Start it; `prepare` makes its service there. In the master, as root. Raises Unavailable.

        `prepare` gets the door, through which the fronts come.
        """
        self._door, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        master = os.getpid()
        self.process = os.fork()
        if self.process == 0:
            detach.exit_after(partial(_live, theirs, master, prepare))
        theirs.close()
        if self._door.recv(1) != _READY:
            self._door.close()
            os.waitpid(self.process, 0)
            raise Unavailable(
                "the starter of tenants' workers did not start", "read what the server wrote above"
            )

    def check_lives(self, ended: int) -> None:
        """Raise Unavailable if the process that has ended is the starter."""
        if ended == self.process:
            raise Unavailable(
                "the starter of tenants' workers has ended", "read what the server wrote above"
            )

    def register(self) -> socket.socket:
        """Make the calling process a front; return its line to the starter. Raises Gone."""
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs, self._door:
            try:
                socket.send_fds(self._door, [_REGISTER], [theirs.fileno()])
            except ConnectionError:
                ours.close()
                raise Gone from None
        return ours


def tell(line: socket.socket, message: bytes) -> None:
    """Send the starter a message. In a front. Raises Gone."""
    try:
        line.send(message)
    except ConnectionError:
        raise Gone from None


# The starter's own process


def _live(door: socket.socket, master: int, prepare: Callable[[socket.socket], Service]) -> None:
    syscalls.set_name("starter")
    syscalls.prctl(syscalls.PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != master:
        raise RuntimeError("the master has ended")
    _keep_only(door.detach(), _DOOR)
    os.environ.clear()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # a terminal's Ctrl-C is for the master
    service = prepare(socket.socket(fileno=_DOOR))
    gc.collect()
    gc.freeze()  # or a collection in a worker would copy every page of objects
    service.run()


def _keep_only(descriptor: int, number: int) -> None:
    """Keep the standard error, and one descriptor, under this number."""
    os.dup2(descriptor, number)
    os.closerange(number + 1, os.sysconf("SC_OPEN_MAX"))
    nothing = os.open(os.devnull, os.O_RDWR)
    os.dup2(nothing, 0)
    os.dup2(nothing, 1)
    os.close(nothing)


class WorkerProcess:
    """A tenant's worker and what it has started, which is one process group."""

    def __init__(self, owner: Identity, process: int, channel: socket.socket) -> None:
        self.owner = owner
        self.process = process
        self._channel = channel
        self._told_to_end = False
        with contextlib.suppress(PermissionError):  # it has made itself the leader of a session
            os.setpgid(process, process)
        self.death = os.pidfd_open(process)

    def hand_to(self, line: socket.socket, message: bytes) -> None:
        """Send a front the channel, with a message, unless it is gone or does not listen."""
        with contextlib.suppress(OSError):
            socket.send_fds(line, [message], [self._channel.fileno()], socket.MSG_DONTWAIT)

    def end(self) -> None:
        """Begin to end the worker; `Service.worker_ended` hears when it is gone."""
        self._told_to_end = True
        self._kill()

    def bury(self) -> None:
        """Reap the dead process if its tracer lets us; let nobody wait for it."""
        self._kill()
        found, status = os.waitpid(self.process, os.WNOHANG)
        if not found:
            free_held_back(self.process, self.owner.uid)  # `Service._on_ends` reaps it then
        elif status and not self._told_to_end:
            log(f"a worker of uid {self.owner.uid} ended: {exit_code(status)}")
        with contextlib.suppress(OSError):  # ENOTCONN
            self._channel.shutdown(socket.SHUT_RDWR)
        self._channel.close()
        os.close(self.death)

    def _kill(self) -> None:
        """Kill the group; in a pid namespace of its own, all others end with its first process."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process, signal.SIGKILL)


class Service(ABC):
    """What a starter does: wait for fronts, for their messages, and for workers' deaths."""

    def __init__(self, door: socket.socket, sites: str | os.PathLike[str]) -> None:
        """`door` is where fronts register; `sites` is the directory of all sites."""
        self._door = door
        self._sites = Sites(sites)
        self._poll = select.epoll()
        self._handlers: dict[int, Callable[[], None]] = {}
        self.workers: dict[int, WorkerProcess] = {}
        signal.pthread_sigmask(signal.SIG_BLOCK, (signal.SIGCHLD,))
        self._ends = syscalls.signalfd((signal.SIGCHLD,))

    # What a mode defines

    @abstractmethod
    def heard(self, line: socket.socket, message: bytes) -> bool:
        """A front has said something; return whether it is anything that a front says."""

    @abstractmethod
    def front_ended(self, line: socket.socket) -> None:
        """A front is gone."""

    @abstractmethod
    def worker_ended(self, worker: WorkerProcess) -> None:
        """A worker is gone, for whatever reason."""

    # What all have

    def run(self) -> None:
        """Serve until the master is gone."""
        self._watch(self._door.fileno(), self._on_door)
        self._watch(self._ends, self._on_ends)
        self._door.send(_READY)
        while self._handlers:
            # One at a time: to handle it may close the descriptor of the next.
            for descriptor, _ in self._poll.poll(maxevents=1):
                self._handlers[descriptor]()

    def site_of(self, name: bytes, uid: int) -> Site:
        """Return the site of that name, if `uid` is its owner's, and not root's.

        Raises NotFound, and PermissionError for any other uid: root's sites have no worker.
        """
        site = self._sites.find(name)
        if site.owner.uid != uid or 0 in (site.owner.uid, site.owner.gid):
            raise PermissionError(errno.EPERM, os.strerror(errno.EPERM))
        return site

    def start(
        self,
        owner: Identity,
        kind: int,
        fork: Callable[[], int],
        become: Callable[[], None],
        serve: Callable[[socket.socket], None],
    ) -> WorkerProcess:
        """Start a worker, and hear of its end from then on.

        `kind` is its channel's (socket(2)). In the new process, `become` changes its identity for
        good, and `serve` gets its end of the channel. Raises what `fork` does.
        """
        ours, theirs = socket.socketpair(socket.AF_UNIX, kind)
        with theirs:
            try:
                process = fork()
            except BaseException:
                ours.close()
                raise
            if process == 0:
                detach.exit_after(partial(_live_as_worker, theirs, kind, become, serve))
        worker = self.workers[process] = WorkerProcess(owner, process, ours)
        self._watch(worker.death, partial(self._on_death, worker))
        return worker

    def _watch(self, descriptor: int, handler: Callable[[], None]) -> None:
        self._poll.register(descriptor, select.EPOLLIN)
        self._handlers[descriptor] = handler

    def _forget(self, descriptor: int) -> None:
        self._poll.unregister(descriptor)
        del self._handlers[descriptor]

    def _on_door(self) -> None:
        message, descriptors, _, _ = socket.recv_fds(self._door, len(_REGISTER), 1)
        if not message:
            raise RuntimeError("the master has ended")
        for descriptor in descriptors:
            self._watch(descriptor, partial(self._on_line, socket.socket(fileno=descriptor)))

    def _on_line(self, line: socket.socket) -> None:
        try:
            message = line.recv(_LONGEST_MESSAGE)
        except ConnectionError:
            message = b""
        if message and self.heard(line, message):
            return
        # The end, or what no front says.
        self.front_ended(line)
        self._forget(line.fileno())
        line.close()

    def _on_death(self, worker: WorkerProcess) -> None:
        del self.workers[worker.process]
        self._forget(worker.death)
        worker.bury()
        self.worker_ended(worker)

    def _on_ends(self) -> None:
        """Reap whatever has ended."""
        syscalls.read_signals(self._ends)
        reap_others(self.workers, lambda process: self._on_death(self.workers[process]))


def _live_as_worker(
    channel: socket.socket,
    kind: int,
    become: Callable[[], None],
    serve: Callable[[socket.socket], None],
) -> int:
    """Serve as a tenant, with no descriptor but the channel and the standard streams."""
    os.dup2(channel.detach(), _CHANNEL, inheritable=False)
    os.closerange(_CHANNEL + 1, os.sysconf("SC_OPEN_MAX"))
    signal.pthread_sigmask(signal.SIG_UNBLOCK, (signal.SIGCHLD,))
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    syscalls.set_name("tenant worker")
    try:
        become()
    except ScriptFailed as error:  # a wall that cannot be had
        log(str(error))
        return 1
    syscalls.prctl(syscalls.PR_SET_PDEATHSIG, signal.SIGKILL)
    serve(socket.socket(socket.AF_UNIX, kind, 0, _CHANNEL))
    return 0


def log(text: str) -> None:
    """Write a line to the server's log, where that is possible."""
    with contextlib.suppress(OSError):  # scripts share the open file, see `pool`
        print(f"[starter] {text}", file=sys.stderr, flush=True)
