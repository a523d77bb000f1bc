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
import os
import select
import socket
import struct
import time
from collections import deque
from typing import Final, NamedTuple

from servers.errors import Unavailable
from servers.front.shared_memory.scoreboard import Scoreboard
from servers.front.starters.starter import FURTHER, Makings, Service, Starter
from servers.interpreter.embedded import ScriptFailed
from servers.mode import IsolationMode
from servers.modes.address.addresses import address_of
from servers.modes.address.crowding import PATIENCE_SECONDS, Queue
from servers.modes.address.lobby import Lobby
from servers.modes.address.tenant import SupervisedWorker, Tenant
from servers.modes.address.tenant_worker import SLOTS, TenantWorker
from servers.sites import Site, Sites

_ASK: Final = b"."
_COUNTS: Final = struct.Struct("<QQQ")
_CARE_SECONDS: Final = 0.25
_LIVELY_SECONDS: Final = 1.0
_PATIENCE: Final = struct.pack("ll", 5, 0)


class Allowance(NamedTuple):
    """How many workers there may be, in all and of one tenant, and how long one may idle."""

    bound: int
    per_tenant: int
    idle_seconds: float


class Supervisor(Starter):
    """The running supervisor, as the master sees it."""

    name = "supervisor"

    def __init__(
        self, content: IsolationMode, port: int, makings: Makings, allowance: Allowance
    ) -> None:
        """Start it; all tenants can be reached when this returns. In the master, as root.

        Raises Unavailable.
        """
        super().__init__(lambda door: _Service(door, content, port, makings, allowance))
        # The kernel's own limit: with `settimeout`, MSG_DONTWAIT would wait as well.
        self._door.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, _PATIENCE)
        self._counts = (0, 0, 0)

    def counts(self) -> dict[str, int]:
        """Ask it what it has counted; the last answer where it is too busy to tell."""
        with contextlib.suppress(BlockingIOError):
            while self._door.recv(_COUNTS.size, socket.MSG_DONTWAIT):  # what came too late
                pass
        with contextlib.suppress(OSError, struct.error):
            self._door.send(_ASK)
            self._counts = _COUNTS.unpack(self._door.recv(_COUNTS.size))
        return dict(zip(("served", "worker_starts", "evictions"), self._counts, strict=True))


# The supervisor's own process


class _Service(Service[SupervisedWorker]):
    """What the supervisor does: wait for connections to those who sleep, and for deaths."""

    name = Supervisor.name

    def __init__(
        self,
        door: socket.socket,
        content: IsolationMode,
        port: int,
        makings: Makings,
        allowance: Allowance,
    ) -> None:
        super().__init__(door)
        self._content = content
        self._kind = _kind_of_worker(content)
        self._makings = makings
        self._allowance = allowance
        self._limits = content.setting.limits
        sites = [site for site in Sites(content.setting.sites) if site.owner.uid]
        self.allow_descriptors(
            3 * len(sites) + 3 * allowance.bound,
            "three for each tenant's listener and lobby, and three for each worker",
            "serve fewer tenants, or lower the bound",
        )
        self._tenants = [_listening(site, port, self._limits.client) for site in sites]
        self._rehearse()
        makings.confine()
        self._awake = select.epoll()
        self._by_descriptor: dict[int, Tenant] = {}
        self._keepers: list[SupervisedWorker] = []
        self._hungry: deque[Tenant] = deque()
        self._retried: list[Tenant] = []
        self._queues: dict[Tenant, Queue] = {}
        self._served = self._starts = self._evictions = self._told = 0
        self._next_care = self._lively_until = 0.0

    def _rehearse(self) -> None:
        """Do what each worker will do, so that it begins warm and shares its pages with others."""
        with socket.socket() as nobodys:
            worker = TenantWorker(nobodys, self._content, _rehearsed(self._content))
            worker.rehearse()
        os.chdir("/")

    def run(self) -> None:
        """Have all tenants sleep, and serve until the master is gone."""
        for tenant in self._tenants:
            self._lie_down(tenant)
        super().run()

    def called(self, _descriptors: list[int]) -> None:
        """Tell the master what has been counted."""
        served = self._served + sum(one.requests.served() for one in self.workers.values())
        counts = (served, self._starts, self._evictions)
        # A script can have written anything on its own page.
        self.door.send(_COUNTS.pack(*(count & (1 << 63) - 1 for count in counts)))

    # Time

    def patience(self) -> float:
        """Return for how long nothing needs to be looked at."""
        if not self.workers and not self._retried:
            return -1.0
        lively = self._hungry or time.monotonic() < self._lively_until
        return PATIENCE_SECONDS if lively else _CARE_SECONDS

    def look_around(self) -> None:
        """See whether somebody waits for too long, or something takes too long."""
        now = time.monotonic()
        self._look_at_queues(now)
        self._have_shared()
        if self._hungry:
            self._make_room(now)
        if now >= self._next_care:
            self._next_care = now + _CARE_SECONDS
            self._care(now)

    def _look_at_queues(self, now: float) -> None:
        """Start another worker for tenants whose connections wait for too long."""
        queues, before = {}, self._queues
        for tenant in {self._by_descriptor[descriptor] for descriptor, _ in self._awake.poll(0)}:
            accepted = tenant.accepted()
            queue = queues[tenant] = before.get(tenant) or Queue(now, accepted)
            if now - queue.since < PATIENCE_SECONDS:
                continue
            if queue.is_too_long(now, tenant.waiting(), accepted):
                self._help(tenant, now)
        self._queues = queues
        if queues:
            self._lively_until = now + _LIVELY_SECONDS

    def _help(self, tenant: Tenant, now: float) -> None:
        """Start another worker, unless all that those of the tenant lack is a processor.

        Where there may be no more, end one that does not see who waits: a script can have done that
        to it.
        """
        if self._may_grow(tenant):
            # Of all of them, since each has its own time of the last look.
            lacking = [worker.waits_for_processor(now) for worker in tenant.workers]
            if not all(lacking) or tenant.wish.is_urgent(now):
                self._start(tenant)
            return
        for worker in tenant.workers:
            if worker.is_deaf(now):
                worker.tell_to_end(now)
                return

    def _have_shared(self) -> None:
        """Have workers whose script takes long leave what else they keep to others."""
        for worker in self._keepers:
            worker.share()

    def _may_grow(self, tenant: Tenant) -> bool:
        return (
            len(tenant.workers) < self._allowance.per_tenant
            and len(self.workers) < self._allowance.bound
            and all(worker.requests.started() for worker in tenant.workers)
        )

    def _care(self, now: float) -> None:
        """See to what has taken too long, to the idle, and to those for whom something failed."""
        idle_since = now - self._allowance.idle_seconds
        for worker in self.workers.values():
            worker.look(now)
            worker.hurry(now, self._limits.script)
            if worker.since < idle_since and worker.is_idle():
                worker.tell_to_end(now)
        self._keepers = [one for one in self.workers.values() if one.keeps_connections()]
        if self._keepers:
            self._lively_until = now + _LIVELY_SECONDS
        retried, self._retried = self._retried, []
        for tenant in retried:
            self._lie_down(tenant)
        self._feed()

    # Tenants that sleep, and wake

    def _lie_down(self, tenant: Tenant) -> None:
        """Have the next connection wake a tenant that has no worker."""
        try:
            if tenant.listens():
                tenant.restore()
            else:
                tenant.listen_again()
        except OSError as error:
            self.log(f"uid {tenant.site.owner.uid} cannot be reached: {error.strerror}")
            self._retried.append(tenant)
            return
        self.watch(tenant.listener.fileno(), lambda: self._wake(tenant))
        self.watch(tenant.lobby.fileno(), lambda: self._wake(tenant))

    def _wake(self, tenant: Tenant) -> None:
        self.forget(tenant.listener.fileno())
        self.forget(tenant.lobby.fileno())
        if len(self.workers) < self._allowance.bound:
            self._start(tenant)
            return
        self._hungry.append(tenant)
        self._make_room(time.monotonic())

    def _make_room(self, now: float) -> None:
        """Tell as many idle workers to end as tenants wait for one, the longest idle first."""
        room = self._allowance.bound - len(self.workers)
        while self._told + room < len(self._hungry):
            idle = [worker for worker in self.workers.values() if worker.is_idle()]
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
        while self._hungry and len(self.workers) < self._allowance.bound:
            self._start(self._hungry.popleft())

    # Workers

    def _start(self, tenant: Tenant) -> None:
        try:
            self._start_worker(tenant)
        except (ScriptFailed, OSError) as error:
            self.log(f"no process for uid {tenant.site.owner.uid}: {error}")
            if not tenant.workers:
                tenant.turn_away()
                self._retried.append(tenant)

    def _start_worker(self, tenant: Tenant) -> None:
        board, place = Scoreboard(SLOTS), tenant.free_place()
        process = self.start(
            tenant.listener,
            self._makings.fork,
            lambda: self._makings.become(tenant.site),
            lambda listener: self._serve(listener, tenant.site, board, place),
            tenant.lobby.descriptors(),
        )
        now = time.monotonic()
        worker = SupervisedWorker(tenant, process, board, now, place)
        self.take_in(worker)
        self._starts += 1
        tenant.workers.append(worker)
        if len(tenant.workers) == 1:
            for descriptor in (tenant.listener.fileno(), tenant.lobby.fileno()):
                self._by_descriptor[descriptor] = tenant
                self._awake.register(descriptor, select.EPOLLIN)
        self._lively_until = now + _LIVELY_SECONDS

    def _serve(self, listener: socket.socket, site: Site, board: Scoreboard, place: int) -> None:
        board.keep_from_children()
        lobby = Lobby.of(FURTHER, FURTHER + 1)
        self._kind(listener, self._content, site, lobby).serve_on(board, place)

    def worker_ended(self, worker: SupervisedWorker) -> None:
        """Let another have its place, and the tenant sleep whose last worker it was."""
        self._served += worker.requests.served()
        self._told -= worker.makes_room
        tenant = worker.tenant
        tenant.workers.remove(worker)
        if worker in self._keepers:
            self._keepers.remove(worker)
        if not tenant.workers:
            for descriptor in (tenant.listener.fileno(), tenant.lobby.fileno()):
                self._awake.unregister(descriptor)
                del self._by_descriptor[descriptor]
            self._queues.pop(tenant, None)
            self._lie_down(tenant)
        self._feed()


def _kind_of_worker(content: IsolationMode) -> type[TenantWorker]:
    if content.tally is None:
        return TenantWorker
    kind = TenantWorker.observed(*content.tally)
    assert issubclass(kind, TenantWorker)
    return kind


def _listening(site: Site, port: int, patience: float) -> Tenant:
    try:
        return Tenant(site, port, patience)
    except OSError as error:
        raise Unavailable(
            f"cannot listen on {address_of(site.owner.uid)}:{port}: {error.strerror}",
            "choose another --port, or 0 for any free one",
        ) from error


def _rehearsed(content: IsolationMode) -> Site:
    """Return a site that nobody asks for: the rehearsal has one of its own."""
    return Site("nobody", "/", content.setting.www)
