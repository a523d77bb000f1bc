"""Which front may use which tenant's worker: the table, and the rules by which it changes. Pure.

A *front* is a worker of the pool: it has the client's request. A *tenant worker* runs the scripts
of one tenant. To use one, a front asks for a lease on it, and may keep the lease from one request
to the next.

Rule 1: only an idle worker, one that nobody has a lease on, is ended to make room. So no request
is lost to that.

Rule 2: a front has one lease at most, and none while it waits for one: to ask is to give back. So
no two fronts wait for each other.

Rule 3: who waits is served in the order of asking, as far as what is free is of use to it, and
while somebody waits in vain each lease that would help is recalled. A front gives a recalled lease
back at once, or at the end of its request, which takes no longer than a script may. So nobody waits
for ever, down to a bound of one worker.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable

from servers.kernel.credentials import Identity


class TenantWorker(ABC):
    """A process that runs one tenant's scripts, as far as the table is concerned."""

    def __init__(self, tenant: Identity) -> None:
        """Note whose it is."""
        self.tenant = tenant

    @abstractmethod
    def end(self) -> None:
        """Begin to end the worker; `Leases.ended` is to be called when it is gone."""


class Front(ABC):
    """A worker of the pool, as far as the table is concerned."""

    lease: TenantWorker | None = None
    recalled = False

    @abstractmethod
    def grant(self, worker: TenantWorker) -> None:
        """Tell the front which worker it may use."""

    @abstractmethod
    def refuse(self, error: OSError) -> None:
        """Tell the front why it gets no worker."""

    @abstractmethod
    def recall(self) -> None:
        """Have the front call for `Leases.give_back` as soon as it is in no request."""


class Leases:
    """The table. Each method is an event, and carries out what follows from it."""

    def __init__(
        self, start: Callable[[Identity], TenantWorker], bound: int, per_tenant: int
    ) -> None:
        """`start` makes a worker, or raises OSError; the numbers are the most that may exist."""
        self._start = start
        self._bound = bound
        self._per_tenant = per_tenant
        self._workers: set[TenantWorker] = set()
        self._ending: set[TenantWorker] = set()
        # Dictionaries for their order: by last use, the longest ago first; and by time of asking.
        self._idle: dict[TenantWorker, None] = {}
        self._waiting: dict[Front, Identity] = {}
        self._leased: set[Front] = set()

    def ask(self, front: Front, tenant: Identity) -> None:
        """A front gives back what it has, and wants a worker of `tenant`."""
        self._take_back(front)
        self._waiting[front] = tenant
        self._settle()

    def give_back(self, front: Front) -> None:
        """A front neither has nor wants a worker any more."""
        self._take_back(front)
        self._settle()

    def discard(self, front: Front) -> None:
        """A front gives a worker back that must not serve again, or is itself gone."""
        worker = front.lease
        self._take_back(front)
        if worker in self._idle:
            self._end(worker)
        self._settle()

    def ended(self, worker: TenantWorker) -> None:
        """A worker is gone, for whatever reason."""
        self._workers.discard(worker)
        self._ending.discard(worker)
        self._idle.pop(worker, None)
        self._settle()

    def _take_back(self, front: Front) -> None:
        worker, front.lease = front.lease, None
        self._leased.discard(front)
        self._waiting.pop(front, None)
        if worker in self._workers:
            self._idle[worker] = None

    def _settle(self) -> None:
        """Serve those who wait, as far as possible, and recall what would help the others."""
        promised: list[Identity] = []  # to whom the places go that are about to come free
        short: set[Identity] = set()
        crowded = False
        for front, tenant in tuple(self._waiting.items()):
            if worker := self._idle_worker_of(tenant):
                self._grant(front, worker)
            elif self._count(tenant) + promised.count(tenant) >= self._per_tenant:
                short.add(tenant)
            elif len(self._workers) < self._bound:
                self._grant_new(front, tenant)
            elif len(promised) < len(self._ending) or self._end_the_least_recently_used():
                promised.append(tenant)
            else:
                crowded = True
        if short or crowded:
            self._recall(lambda tenant: crowded or tenant in short)

    def _idle_worker_of(self, tenant: Identity) -> TenantWorker | None:
        """Return the one most recently used, whose memory is the most likely to be in caches."""
        return next((worker for worker in reversed(self._idle) if worker.tenant == tenant), None)

    def _count(self, tenant: Identity) -> int:
        return sum(worker.tenant == tenant for worker in self._workers)

    def _grant_new(self, front: Front, tenant: Identity) -> None:
        try:
            worker = self._start(tenant)
        except OSError as error:
            del self._waiting[front]
            front.refuse(error)
            return
        self._workers.add(worker)
        self._grant(front, worker)

    def _grant(self, front: Front, worker: TenantWorker) -> None:
        self._waiting.pop(front)
        self._idle.pop(worker, None)
        self._leased.add(front)
        front.lease = worker
        front.recalled = False
        front.grant(worker)

    def _end_the_least_recently_used(self) -> bool:
        worker = next(iter(self._idle), None)
        if worker is not None:
            self._end(worker)
        return worker is not None

    def _end(self, worker: TenantWorker) -> None:
        del self._idle[worker]
        self._ending.add(worker)
        worker.end()

    def _recall(self, helps: Callable[[Identity], bool]) -> None:
        for front in self._leased:
            if front.lease and not front.recalled and helps(front.lease.tenant):
                front.recalled = True
                front.recall()
