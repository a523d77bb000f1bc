"""The supervisor: holds the listeners of all tenants, and starts and ends tenants' workers.

It reads no byte that a client sends or a tenant writes. What it knows is whether somebody waits at
an address (epoll), how many (TCP_INFO), what a worker counts on a page that the two share, and that
a worker has died (pidfd).

A tenant *sleeps* while it has no worker: its listener is watched, and the first connection wakes
it, as with inetd's `wait`. Then its workers accept by themselves, and the supervisor looks only now
and then whether somebody waits for too long (`crowding`). When the last worker has ended the tenant
sleeps again; whoever waits by then wakes it.

Bounded are a tenant's workers and all of them. At the bound a sleeping tenant waits, *hungry*, and
the worker that has been idle the longest is told to end. It ends between two connections, so that
no request is lost to that (`tenant_worker`).
"""

from __future__ import annotations

import contextlib
import gc
import os
import resource
import select
import signal
import socket
import struct
import sys
import time
from collections import deque
from collections.abc import Callable
from functools import partial
from typing import Final, NamedTuple, NoReturn

from servers.errors import Unavailable
from servers.front.oversight import descendants, free_held_back
from servers.front.scoreboard import Scoreboard
from servers.front.worker import BACKLOG
from servers.interpreter.embedded import ScriptFailed
from servers.kernel import syscalls
from servers.kernel.reaping import exit_code, kill, reap_others
from servers.mode import IsolationMode
from servers.modes.address.addresses import address_of
from servers.modes.address.crowding import PATIENCE_SECONDS, Queue
from servers.modes.address.tenant_worker import TO_END, TenantWorker
from servers.sites import Site, Sites

_READY: Final = b"."
_COUNTS: Final = struct.Struct("<QQQ")
_DOOR: Final = 3
_LISTENER: Final = 3
_SPARE_DESCRIPTORS: Final = 64
_LONGEST_ANSWER: Final = 1024
_CARE_SECONDS: Final = 0.25
_GRACE_SECONDS: Final = 1.0
_LIVELY_SECONDS: Final = 1.0
_PATIENCE: Final = struct.pack("ll", 5, 0)
_MOST_TURNED_AWAY: Final = 64
_TCP_INFO_BYTES: Final = 32
_WAITING: Final = struct.Struct("<24xI")
"""tcpi_unacked of struct tcp_info (linux/tcp.h): of a listener, how many wait to be accepted."""
_REFUSAL: Final = (
    b"HTTP/1.1 503 Service Unavailable\r\nContent-Type: text/plain\r\nContent-Length: 47\r\n"
    b"Connection: close\r\n\r\nthe server cannot start a process of the tenant"
)


class Gone(RuntimeError):
    """The master has ended. Nobody is served any longer."""


class Makings(NamedTuple):
    """How workers are made: what the supervisor is confined by, how it forks, what they become.

    `confine` is called once, in the supervisor; `fork` as os.fork; `become` in each child, and for
    good.
    """

    confine: Callable[[], None]
    fork: Callable[[], int]
    become: Callable[[Site], None]


class Allowance(NamedTuple):
    """How many workers there may be, in all and of one tenant, and how long one may idle."""

    bound: int
    per_tenant: int
    idle_seconds: float


class Supervisor:
    """The running supervisor, as the master sees it."""

    def __init__(
        self, content: IsolationMode, port: int, makings: Makings, allowance: Allowance
    ) -> None:
        """Start it; all tenants can be reached when this returns. In the master, as root.

        Raises Unavailable.
        """
        self._door, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        master = os.getpid()
        self.process = os.fork()
        if self.process == 0:
            _live(theirs, master, lambda: _Service(content, port, makings, allowance))
        theirs.close()
        answer = self._door.recv(_LONGEST_ANSWER)
        if answer != _READY:
            os.waitpid(self.process, 0)
            reason, _, hint = answer.decode().partition("\n")
            raise Unavailable(
                reason or "the supervisor of tenants' workers did not start",
                hint or "read what the server wrote above",
            )
        # The kernel's own limit: with `settimeout`, MSG_DONTWAIT would wait as well.
        self._door.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, _PATIENCE)
        self._counts = (0, 0, 0)

    def counts(self) -> dict[str, int]:
        """Ask it what it has counted; the last answer where it is too busy to tell."""
        with contextlib.suppress(BlockingIOError):
            while self._door.recv(_COUNTS.size, socket.MSG_DONTWAIT):  # what came too late
                pass
        with contextlib.suppress(OSError, struct.error):
            self._door.send(_READY)
            self._counts = _COUNTS.unpack(self._door.recv(_COUNTS.size))
        return dict(zip(("served", "worker_starts", "evictions"), self._counts, strict=True))


# The supervisor's own process


def _live(door: socket.socket, master: int, prepare: Callable[[], _Service]) -> NoReturn:
    status = 1
    try:
        syscalls.set_name("supervisor")
        syscalls.prctl(syscalls.PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != master:
            raise Gone("the master has ended")
        _keep_only(door.detach(), _DOOR)
        door = socket.socket(fileno=_DOOR)
        os.environ.clear()
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # a terminal's Ctrl-C is for the master
        service = prepare()
        syscalls.prctl(syscalls.PR_SET_PDEATHSIG, signal.SIGKILL)  # a change of identity undoes it
        gc.collect()
        gc.freeze()  # or a collection in a worker would copy every page of objects
        service.run(door)
        status = 0
    except Unavailable as error:
        door.send(f"{error}\n{error.hint}".encode()[:_LONGEST_ANSWER])
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
    """A tenant's worker, which is one process group with what it has started."""

    def __init__(self, tenant: _Tenant, process: int, board: Scoreboard, now: float) -> None:
        self.process = process
        self.tenant = tenant
        self._board = board
        self.requests, self._arrivals = board.slots
        self.since = now  # when it was last seen to have done something
        self._seen = (0, 0)
        self.told_at = 0.0
        self.makes_room = False
        self._warnings = 0
        # A script of a later worker could falsify it, were it mapped there.
        board.keep_from_children()
        with contextlib.suppress(PermissionError):  # it has made itself the leader of a session
            os.setpgid(process, process)
        self.death = os.pidfd_open(process)

    def accepted(self) -> int:
        """Return how many connections it says that it has accepted."""
        return self._arrivals.served()

    def is_idle(self) -> bool:
        """Return whether it is ready to serve, does not, and was not told to end."""
        ready = self.requests.started() and not self.told_at
        return ready and self.requests.busy_seconds() <= 0

    def look(self, now: float) -> None:
        """Note whether it has done something since the last look."""
        seen = self.requests.served(), self.accepted()
        if seen != self._seen or self.requests.busy_seconds() > 0:
            self._seen = seen
            self.since = now

    def tell_to_end(self, now: float) -> None:
        self.told_at = now
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.process, TO_END)

    def hurry(self, now: float, limit: float) -> None:
        """End what takes too long: a script, first politely, or the worker's own end."""
        late = self.requests.busy_seconds() - limit
        if late < 0:
            self._warnings = 0
            stays = self.told_at and now > self.told_at + limit
            if stays:
                self.kill()
        elif late >= self._warnings * _GRACE_SECONDS:
            self._warnings += 1
            self._hurry_script()

    def _hurry_script(self) -> None:
        if self._warnings == 1:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.process, signal.SIGALRM)
        elif self._warnings == 2:
            for process in descendants(self.process):
                kill(process)
        else:
            self.kill()

    def kill(self) -> None:
        """Kill the group; in a pid namespace of its own, all others end with its first process."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process, signal.SIGKILL)

    def bury(self) -> None:
        """Reap the dead process if its tracer lets us; let nobody wait for it."""
        self.kill()
        found, status = os.waitpid(self.process, os.WNOHANG)
        uid = self.tenant.site.owner.uid
        if not found:
            free_held_back(self.process, uid)  # `_Service._on_ends` reaps it then
        elif status:
            _log(f"a worker of uid {uid} ended: {exit_code(status)}")
        os.close(self.death)


class _Tenant:
    """One site, its listener, and its workers, if it has any."""

    def __init__(self, site: Site, port: int, patience: float) -> None:
        """Listen. Raises OSError."""
        self.site = site
        self._address = (address_of(site.owner.uid), port)
        self._patience = patience
        self.workers: list[_Worker] = []
        self._listen()

    def _listen(self) -> None:
        self.listener = socket.socket()
        self.listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.listener.bind(self._address)
        self.restore()

    def restore(self) -> None:
        """Put the listener right, which the tenant's scripts may have got hold of.

        Only while the tenant has no worker. Raises OSError, such as when something that a script
        has left running holds the address.
        """
        patience = struct.pack("ll", int(self._patience), int(self._patience % 1 * 1e6))
        options = self.listener.setsockopt
        options(socket.SOL_SOCKET, socket.SO_RCVTIMEO, patience)
        options(socket.SOL_SOCKET, socket.SO_SNDTIMEO, patience)
        options(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        os.set_blocking(self.listener.fileno(), True)
        self.listener.listen(BACKLOG)

    def listens(self) -> bool:
        """Return whether the listener is what it was made as."""
        return (
            self.listener.getsockname() == self._address
            and self.listener.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN) == 1
        )

    def listen_again(self) -> None:
        """Replace a listener that is none any longer. Raises OSError."""
        self.listener.close()
        self._listen()

    def waiting(self) -> int:
        """Return how many connections wait to be accepted."""
        info = self.listener.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _TCP_INFO_BYTES)
        waiting: int = _WAITING.unpack_from(info)[0]
        return waiting

    def accepted(self) -> int:
        return sum(worker.accepted() for worker in self.workers)

    def turn_away(self) -> None:
        """Refuse whoever waits: no process can be had."""
        self.listener.setblocking(False)
        with contextlib.suppress(OSError):
            for _ in range(_MOST_TURNED_AWAY):
                connection, _ = self.listener.accept()
                with connection, contextlib.suppress(OSError):
                    connection.send(_REFUSAL)
        self.listener.setblocking(True)


class _Service:
    """What the supervisor does: wait for connections to those who sleep, and for deaths."""

    def __init__(
        self, content: IsolationMode, port: int, makings: Makings, allowance: Allowance
    ) -> None:
        self._content = content
        self._makings = makings
        self._allowance = allowance
        self._limits = content.setting.limits
        sites = [site for site in Sites(content.setting.sites) if site.owner.uid]
        self._usual_files = _allow_descriptors(len(sites) + 3 * allowance.bound)
        self._tenants = [_listening(site, port, self._limits.client) for site in sites]
        self._rehearse()
        makings.confine()
        self._poll = select.epoll()
        self._awake = select.epoll()
        self._handlers: dict[int, Callable[[], None]] = {}
        self._by_listener: dict[int, _Tenant] = {}
        self._workers: dict[int, _Worker] = {}
        self._hungry: deque[_Tenant] = deque()
        self._retried: list[_Tenant] = []
        self._queues: dict[_Tenant, Queue] = {}
        self._served = self._starts = self._evictions = self._told = 0
        self._next_care = self._lively_until = 0.0
        signal.pthread_sigmask(signal.SIG_BLOCK, (signal.SIGCHLD,))
        self._ends = syscalls.signalfd((signal.SIGCHLD,))

    def _rehearse(self) -> None:
        """Do what each worker will do, so that it begins warm and shares its pages with others."""
        with socket.socket() as nobodys:
            worker = TenantWorker(nobodys, self._content, _rehearsed(self._content))
            worker.rehearse()
        os.chdir("/")

    def run(self, door: socket.socket) -> None:
        """Serve until the master is gone."""
        self._watch(door.fileno(), lambda: self._on_door(door))
        self._watch(self._ends, self._on_ends)
        for tenant in self._tenants:
            self._lie_down(tenant)
        door.send(_READY)
        while True:
            # One at a time: to handle it may close the descriptor of the next.
            for descriptor, _ in self._poll.poll(self._patience(), maxevents=1):
                self._handlers[descriptor]()
            self._look_around()

    def _watch(self, descriptor: int, handler: Callable[[], None]) -> None:
        self._poll.register(descriptor, select.EPOLLIN)
        self._handlers[descriptor] = handler

    def _forget(self, descriptor: int) -> None:
        self._poll.unregister(descriptor)
        del self._handlers[descriptor]

    def _on_door(self, door: socket.socket) -> None:
        if not door.recv(1):
            raise Gone("the master has ended")
        served = self._served + sum(one.requests.served() for one in self._workers.values())
        counts = (served, self._starts, self._evictions)
        # A script can have written anything on its own page.
        door.send(_COUNTS.pack(*(count & (1 << 63) - 1 for count in counts)))

    # Time

    def _patience(self) -> float:
        if not self._workers and not self._retried:
            return -1.0
        lively = self._hungry or time.monotonic() < self._lively_until
        return PATIENCE_SECONDS if lively else _CARE_SECONDS

    def _look_around(self) -> None:
        now = time.monotonic()
        self._look_at_queues(now)
        if self._hungry:
            self._make_room(now)
        if now >= self._next_care:
            self._next_care = now + _CARE_SECONDS
            self._care(now)

    def _look_at_queues(self, now: float) -> None:
        """Start another worker for tenants whose connections wait for too long."""
        queues, before = {}, self._queues
        for descriptor, _ in self._awake.poll(0):
            tenant = self._by_listener[descriptor]
            accepted = tenant.accepted()
            queue = queues[tenant] = before.get(tenant) or Queue(now, accepted)
            if now - queue.since < PATIENCE_SECONDS:
                continue
            if queue.is_too_long(now, tenant.waiting(), accepted) and self._may_grow(tenant):
                self._start(tenant)
        self._queues = queues
        if queues:
            self._lively_until = now + _LIVELY_SECONDS

    def _may_grow(self, tenant: _Tenant) -> bool:
        return (
            len(tenant.workers) < self._allowance.per_tenant
            and len(self._workers) < self._allowance.bound
            and all(worker.requests.started() for worker in tenant.workers)
        )

    def _care(self, now: float) -> None:
        """See to what has taken too long, to the idle, and to those for whom something failed."""
        idle_since = now - self._allowance.idle_seconds
        for worker in self._workers.values():
            worker.look(now)
            worker.hurry(now, self._limits.script)
            if worker.since < idle_since and worker.is_idle():
                worker.tell_to_end(now)
        retried, self._retried = self._retried, []
        for tenant in retried:
            self._lie_down(tenant)
        self._feed()

    # Tenants that sleep, and wake

    def _lie_down(self, tenant: _Tenant) -> None:
        """Have the next connection wake a tenant that has no worker."""
        try:
            if tenant.listens():
                tenant.restore()
            else:
                tenant.listen_again()
        except OSError as error:
            _log(f"uid {tenant.site.owner.uid} cannot be reached: {error.strerror}")
            self._retried.append(tenant)
            return
        self._watch(tenant.listener.fileno(), lambda: self._wake(tenant))

    def _wake(self, tenant: _Tenant) -> None:
        self._forget(tenant.listener.fileno())
        if len(self._workers) < self._allowance.bound:
            self._start(tenant)
            return
        self._hungry.append(tenant)
        self._make_room(time.monotonic())

    def _make_room(self, now: float) -> None:
        """Tell as many idle workers to end as tenants wait for one, the longest idle first."""
        room = self._allowance.bound - len(self._workers)
        while self._told + room < len(self._hungry):
            idle = [worker for worker in self._workers.values() if worker.is_idle()]
            if not idle:
                return
            for worker in idle:
                worker.look(now)
            worker = min(idle, key=lambda worker: worker.since)
            worker.tell_to_end(now)
            worker.makes_room = True
            self._told += 1
            self._evictions += 1

    def _feed(self) -> None:
        """Start workers for those who wait for one, as far as there is room."""
        while self._hungry and len(self._workers) < self._allowance.bound:
            self._start(self._hungry.popleft())

    # Workers

    def _start(self, tenant: _Tenant) -> None:
        try:
            self._start_worker(tenant)
        except (ScriptFailed, OSError) as error:
            _log(f"no process for uid {tenant.site.owner.uid}: {error}")
            if not tenant.workers:
                tenant.turn_away()
                self._retried.append(tenant)

    def _start_worker(self, tenant: _Tenant) -> None:
        board = Scoreboard(2)
        process = self._makings.fork()
        if process == 0:
            self._become_worker(tenant, board)
        now = time.monotonic()
        worker = self._workers[process] = _Worker(tenant, process, board, now)
        self._watch(worker.death, partial(self._on_death, worker))
        self._starts += 1
        tenant.workers.append(worker)
        if len(tenant.workers) == 1:
            descriptor = tenant.listener.fileno()
            self._by_listener[descriptor] = tenant
            self._awake.register(descriptor, select.EPOLLIN)
        self._lively_until = now + _LIVELY_SECONDS

    def _on_death(self, worker: _Worker) -> None:
        del self._workers[worker.process]
        self._forget(worker.death)
        self._served += worker.requests.served()
        self._told -= worker.makes_room
        worker.bury()
        tenant = worker.tenant
        tenant.workers.remove(worker)
        if not tenant.workers:
            descriptor = tenant.listener.fileno()
            self._awake.unregister(descriptor)
            del self._by_listener[descriptor]
            self._queues.pop(tenant, None)
            self._lie_down(tenant)
        self._feed()

    def _on_ends(self) -> None:
        """Reap whatever has ended."""
        syscalls.read_signals(self._ends)
        reap_others(self._workers, lambda process: self._on_death(self._workers[process]))

    def _become_worker(self, tenant: _Tenant, board: Scoreboard) -> NoReturn:
        """Serve as the owner, with no descriptor but the listener and the standard streams."""
        status = 1
        try:
            os.dup2(tenant.listener.detach(), _LISTENER, inheritable=False)
            os.closerange(_LISTENER + 1, os.sysconf("SC_OPEN_MAX"))
            signal.pthread_sigmask(signal.SIG_UNBLOCK, (signal.SIGCHLD,))
            signal.signal(signal.SIGINT, signal.SIG_DFL)
            resource.setrlimit(resource.RLIMIT_NOFILE, self._usual_files)
            syscalls.set_name("tenant worker")
            self._makings.become(tenant.site)
            syscalls.prctl(syscalls.PR_SET_PDEATHSIG, signal.SIGKILL)
            board.keep_from_children()
            listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, 0, _LISTENER)
            TenantWorker(listener, self._content, tenant.site).serve_on(board)
            status = 0
        except ScriptFailed as error:  # a wall that cannot be had
            _log(str(error))
        except BaseException:
            _show_exception()
        finally:
            os._exit(status)


def _listening(site: Site, port: int, patience: float) -> _Tenant:
    try:
        return _Tenant(site, port, patience)
    except OSError as error:
        raise Unavailable(
            f"cannot listen on {address_of(site.owner.uid)}:{port}: {error.strerror}",
            "choose another --port, or 0 for any free one",
        ) from error


def _rehearsed(content: IsolationMode) -> Site:
    """Return a site that nobody asks for: the rehearsal has one of its own."""
    return Site("nobody", "/", content.setting.www)


def _allow_descriptors(more: int) -> tuple[int, int]:
    """See to it that this process may have so many, and some; return the limits that it had.

    Raises Unavailable.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    needed = more + _SPARE_DESCRIPTORS
    if soft < needed:
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (needed, max(hard, needed)))
        except (OSError, ValueError):
            raise Unavailable(
                f"a process may have {hard} descriptors here, and {needed} are needed: one for "
                "each tenant's listener, and three for each worker",
                f"raise the limit (ulimit -n {needed}), serve fewer tenants, or lower the bound",
            ) from None
    return soft, hard


def _show_exception() -> None:
    kind, error, trace = sys.exc_info()
    if kind and error:
        sys.__excepthook__(kind, error, trace)


def _log(text: str) -> None:
    with contextlib.suppress(OSError):  # scripts share the open file, see `pool`
        print(f"[supervisor] {text}", file=sys.stderr, flush=True)
