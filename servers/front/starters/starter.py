"""A starter of tenants' workers: a small privileged process, out of the way of clients.

It forks a tenant's worker when one is needed, and learns of the worker's death. It reads no byte
that a client sent or a tenant wrote. Each mode defines when a worker is needed, in a `Service` of
its own: a front asks for one (`front_starter`), or somebody waits at the tenant's address (the mode
`address`).

The starter is forked before the first request. What its `Service` has rehearsed by then is warm in
each worker, and their pages are shared.

A worker's death is learnt from its pidfd. Whether it can be reaped is another question, since a
tracer may hold its end back: SIGCHLD tells, also of the children that scripts give to the starter
(CLONE_PARENT). The starter waits for none of them.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import socket
import sys
from abc import ABC, abstractmethod
from collections.abc import Callable
from functools import partial
from typing import Any, ClassVar, Final, Generic, NamedTuple, TypeVar

from servers.errors import Unavailable
from servers.interpreter import frozen_heap
from servers.interpreter.embedded import ScriptFailed
from servers.kernel import detach, keyring, open_files, syscalls
from servers.kernel.confinement import restrain
from servers.kernel.credentials import Identity, become
from servers.kernel.process_table import free_held_back
from servers.kernel.reaping import exit_code, reap_others
from servers.sites import Site

_READY: Final = b"."
_LONGEST_ANSWER: Final = 1024
_DOOR: Final = 3
_LINK: Final = 3
FURTHER: Final = 4
"""The number of the first descriptor that a worker has besides its link."""
_NEEDED: Final = syscalls.capability_mask(
    syscalls.CAP_SETUID, syscalls.CAP_SETGID, syscalls.CAP_KILL
)


class Makings(NamedTuple):
    """How workers are made: what the starter is confined by, how it forks, what the child becomes.

    `confine` is called once, in the starter; `fork` as os.fork; `become` in each child, and for
    good.
    """

    confine: Callable[[], None]
    fork: Callable[[], int]
    become: Callable[[Site], None]

    @classmethod
    def unwalled(cls, sites: str) -> Makings:
        """Return how workers are made that nothing but their identity keeps from each other."""
        return cls(lambda: restrain(sites, _NEEDED), os.fork, _become_owner)


def _become_owner(site: Site) -> None:
    keyring.join_new()
    become(site.owner)


# The master's end


class Starter:
    """The running starter, as the master sees it."""

    name: ClassVar = "starter"
    """What the process and its messages are called."""

    def __init__(self, prepare: Callable[[socket.socket], Service[Any]]) -> None:
        """Start it; `prepare` makes its service there. In the master, as root. Raises Unavailable.

        `prepare` gets the door: the service's end of its connection with the master.
        """
        self._door, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        master = os.getpid()
        self.process = os.fork()
        if self.process == 0:
            detach.exit_after(partial(_live, theirs, master, self.name, prepare))
        theirs.close()
        answer = self._door.recv(_LONGEST_ANSWER)
        if answer != _READY:
            self._door.close()
            os.waitpid(self.process, 0)
            reason, _, hint = answer.decode().partition("\n")
            raise self._unavailable("did not start") if not reason else Unavailable(reason, hint)

    def check_lives(self, ended: int) -> None:
        """Raise Unavailable if the process that has ended is the starter."""
        if ended == self.process:
            raise self._unavailable("has ended")

    def _unavailable(self, what: str) -> Unavailable:
        about = f"the {self.name} of tenants' workers {what}"
        return Unavailable(about, "read what the server wrote above")


# The starter's own process


def _live(
    door: socket.socket, master: int, name: str, prepare: Callable[[socket.socket], Service[Any]]
) -> int:
    syscalls.set_name(name)
    _die_with_the_parent()
    if os.getppid() != master:
        raise RuntimeError("the master has ended")
    _keep_only(door.detach(), _DOOR)
    door = socket.socket(fileno=_DOOR)
    os.environ.clear()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # a terminal's Ctrl-C is for the master
    try:
        service = prepare(door)
    except Unavailable as error:
        door.send(f"{error}\n{error.hint}".encode()[:_LONGEST_ANSWER])
        return 1
    _die_with_the_parent()  # a change of identity undoes it (prctl(2))
    frozen_heap.freeze()
    service.run()
    return 0


def _die_with_the_parent() -> None:
    syscalls.prctl(syscalls.PR_SET_PDEATHSIG, signal.SIGKILL)


def _keep_only(descriptor: int, number: int) -> None:
    """Keep the standard error, and one descriptor, under this number."""
    os.dup2(descriptor, number)
    os.closerange(number + 1, os.sysconf("SC_OPEN_MAX"))
    detach.redirect_to_null(0, 1)


class WorkerProcess:
    """A tenant's worker and what it has started, which is one process group."""

    def __init__(self, owner: Identity, process: int) -> None:
        self.owner = owner
        self.process = process
        self.told_to_end = False
        with contextlib.suppress(PermissionError):  # it has made itself the leader of a session
            os.setpgid(process, process)
        self.death = os.pidfd_open(process)

    def end(self) -> None:
        """Begin to end the worker; `Service.worker_ended` hears when it is gone."""
        self.told_to_end = True
        self.kill()

    def kill(self) -> None:
        """Kill the group; in a pid namespace of its own, all others end with its first process."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process, signal.SIGKILL)

    def bury(self) -> int:
        """Reap the dead process if its tracer lets us; let nobody wait for it.

        Return its exit status if that should be known: it is 0, where its end was wished for.
        """
        self.kill()
        found, status = os.waitpid(self.process, os.WNOHANG)
        if not found:
            free_held_back(self.process, self.owner.uid)  # `Service._on_ends` reaps it then
        os.close(self.death)
        return 0 if self.told_to_end else exit_code(status)


W = TypeVar("W", bound=WorkerProcess)


class Service(ABC, Generic[W]):
    """What a starter does: wait for what its mode watches, and for workers' deaths."""

    name: ClassVar = Starter.name

    def __init__(self, door: socket.socket) -> None:
        """`door` is the connection with the master."""
        self.door = door
        self.workers: dict[int, W] = {}
        self._poll = select.epoll()
        self._handlers: dict[int, Callable[[], None]] = {}
        self._usual_files: tuple[int, int] | None = None
        signal.pthread_sigmask(signal.SIG_BLOCK, (signal.SIGCHLD,))
        self._ends = syscalls.signalfd((signal.SIGCHLD,))

    # What a mode defines

    @abstractmethod
    def called(self, descriptors: list[int]) -> None:
        """The master, or a process that it has forked, has sent a byte, and these with it."""

    @abstractmethod
    def worker_ended(self, worker: W) -> None:
        """A worker is gone, for whatever reason."""

    def patience(self) -> float:
        """Return for how many seconds to wait for events at most; -1.0: for ever."""
        return -1.0

    def look_around(self) -> None:
        """Do what is due, after each event and each time that none came."""

    # What all have

    def run(self) -> None:
        """Serve until the master is gone."""
        self.watch(self.door.fileno(), self._on_door)
        self.watch(self._ends, self._on_ends)
        self.door.send(_READY)
        while True:
            # One at a time: to handle it may close the descriptor of the next.
            for descriptor, _ in self._poll.poll(self.patience(), maxevents=1):
                self._handlers[descriptor]()
            self.look_around()

    def start(
        self,
        link: socket.socket,
        fork: Callable[[], int],
        become: Callable[[], None],
        serve: Callable[[socket.socket], None],
        also: tuple[int, ...] = (),
    ) -> int:
        """Start a worker's process; return its id. Raises what `fork` does.

        In the new process, `become` changes its identity for good, and `serve` gets the socket
        `link`. That, with the descriptors in `also`, is all that it has of ours. These get the
        numbers from `FURTHER` on, which nothing else of them may have.
        """
        process = fork()
        if process == 0:
            detach.exit_after(partial(self._live_as_worker, link, become, serve, also))
        return process

    def allow_descriptors(self, number: int, what_for: str, remedy: str) -> None:
        """See to it that this process may have so many; its workers may have what was usual.

        Raises Unavailable, as `open_files.allow`.
        """
        self._usual_files = open_files.allow(number, what_for, remedy)

    def take_in(self, worker: W) -> None:
        """Watch for a worker's end."""
        self.workers[worker.process] = worker
        self.watch(worker.death, partial(self._on_death, worker))

    def watch(self, descriptor: int, handler: Callable[[], None]) -> None:
        """Have `handler` called whenever something can be read there."""
        self._poll.register(descriptor, select.EPOLLIN)
        self._handlers[descriptor] = handler

    def forget(self, descriptor: int) -> None:
        """Watch it no longer."""
        self._poll.unregister(descriptor)
        del self._handlers[descriptor]

    def log(self, text: str) -> None:
        """Write a line to the server's log, where that is possible."""
        with contextlib.suppress(OSError):  # scripts share the open file, see `pool`
            print(f"[{self.name}] {text}", file=sys.stderr, flush=True)

    def _on_door(self) -> None:
        message, descriptors, _, _ = socket.recv_fds(self.door, 1, 1)
        if not message:
            raise RuntimeError("the master has ended")
        self.called(descriptors)

    def _on_death(self, worker: W) -> None:
        del self.workers[worker.process]
        self.forget(worker.death)
        if status := worker.bury():
            self.log(f"a worker of uid {worker.owner.uid} ended: {status}")
        self.worker_ended(worker)

    def _on_ends(self) -> None:
        """Reap whatever has ended."""
        syscalls.read_signals(self._ends)
        reap_others(self.workers, lambda process: self._on_death(self.workers[process]))

    def _live_as_worker(
        self,
        link: socket.socket,
        become: Callable[[], None],
        serve: Callable[[socket.socket], None],
        also: tuple[int, ...],
    ) -> int:
        """Serve as a tenant, with no descriptor but these and the standard streams."""
        family, kind = link.family, link.type
        os.dup2(link.detach(), _LINK, inheritable=False)
        for number, descriptor in enumerate(also, FURTHER):
            os.dup2(descriptor, number, inheritable=False)
        os.closerange(FURTHER + len(also), os.sysconf("SC_OPEN_MAX"))
        signal.pthread_sigmask(signal.SIG_UNBLOCK, (signal.SIGCHLD,))
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        syscalls.set_name("tenant worker")
        if self._usual_files:
            open_files.restore(self._usual_files)
        try:
            become()
        except ScriptFailed as error:  # a wall that cannot be had
            self.log(str(error))
            return 1
        _die_with_the_parent()
        serve(socket.socket(family, kind, 0, _LINK))
        return 0
