"""Who gets a tenant's worker when a front cannot simply claim one: the rules, in the starter. Pure.

A *front* is a worker of the pool: it has the client's request. A *tenant worker* runs the scripts
of one tenant. A front claims an idle one in the `table`, for one request. Where it knows none, or
others wait for those it knows, it asks here.

Rule 1: only an idle worker, one that nobody has claimed, is ended to make room. So no request is
lost to that.

Rule 2: a front has one worker at most, and none while it waits for one. So no two fronts wait for
each other.

Rule 3: who waits is served in the order of asking, as far as what is free is of use to it. While
somebody waits in vain each worker that would help is *wanted*: no front claims it past those who
wait, and the front that has it says when it has released it, which takes no longer than a script
may. So nobody waits for ever, down to a bound of one worker.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable

from servers.kernel.credentials import Identity
from servers.modes.fastcgi.table import ENDING, NOBODY, Table


class TenantWorker(ABC):
    """A process that runs one tenant's scripts, as far as the table is concerned."""

    slot = 0
    serial = 0

    def __init__(self, tenant: Identity) -> None:
        """Note whose it is."""
        self.tenant = tenant

    @abstractmethod
    def end(self) -> None:
        """Begin to end the worker; `Leases.ended` is to be called when it is gone."""


class Front(ABC):
    """A worker of the pool, as far as the table is concerned."""

    granted: TenantWorker | None = None

    def __init__(self, number: int) -> None:
        """Note by what number the table knows it."""
        self.number = number

    @abstractmethod
    def grant(self, worker: TenantWorker) -> None:
        """Tell the front which worker it has now."""

    @abstractmethod
    def refuse(self, error: OSError) -> None:
        """Tell the front why it gets no worker."""


class Leases:
    """Grants workers. Each method is an event, and carries out what follows from it."""

    def __init__(
        self, start: Callable[[Identity], TenantWorker], table: Table, bound: int, per_tenant: int
    ) -> None:
        """`start` makes a worker, or raises OSError; the numbers are the most that may exist."""
        self._start = start
        self._table = table
        self._bound = bound
        self._per_tenant = per_tenant
        self._serial = 0
        self._workers: set[TenantWorker] = set()
        self._ending: set[TenantWorker] = set()
        self._waiting: dict[Front, Identity] = {}  # in the order of asking

    def ask(self, front: Front, tenant: Identity) -> None:
        """A front that has no worker wants one of `tenant`."""
        front.granted = None
        self._waiting.pop(front, None)
        self._waiting[front] = tenant
        self._settle()

    def withdraw(self, front: Front) -> None:
        """A front no longer wants what it asked for, which it may have been granted meanwhile."""
        self._waiting.pop(front, None)
        worker, front.granted = front.granted, None
        if worker in self._workers and self._table.owners[worker.slot] == front.number:
            self._table.owners[worker.slot] = NOBODY
        self._settle()

    def released(self) -> None:
        """A front has released a worker that is wanted."""
        self._settle()

    def discard(self, front: Front, slot: int) -> None:
        """A front's worker must not serve again."""
        self._take_away(front, slot)
        self._settle()

    def front_ended(self, front: Front) -> None:
        """A front is gone: what it had must not serve again."""
        self._waiting.pop(front, None)
        for slot in range(len(self._table.owners)):
            self._take_away(front, slot)
        self._settle()

    def ended(self, worker: TenantWorker) -> None:
        """A worker is gone, for whatever reason."""
        self._workers.discard(worker)
        self._table.serials[worker.slot] = 0
        if worker in self._ending:
            self._ending.discard(worker)
            self._table.owners[worker.slot] = NOBODY
        # Otherwise a front may still own the slot, and will let go of it.
        self._settle()

    def _take_away(self, front: Front, slot: int) -> None:
        """End the worker of a slot, if a front owns it; it may have ended before."""
        if self._table.owners[slot] != front.number:
            return
        if self._table.serials[slot]:
            self._end(next(worker for worker in self._workers if worker.slot == slot))
        else:
            self._table.owners[slot] = NOBODY

    def _settle(self) -> None:
        """Serve those who wait, as far as possible, and want what would help the others."""
        while hired := self._serve_all():  # and again, since those that are new may be wanted
            for front, tenant in hired:
                self._grant_new(front, tenant)

    def _serve_all(self) -> list[tuple[Front, Identity]]:
        """Do what `_settle` does, but for starting workers: return for whom, without the lock."""
        hired: list[tuple[Front, Identity]] = []
        self._table.lock()
        try:
            # Again where something has become wanted: it may have been released just before.
            while self._serve(hired):
                pass
        finally:
            self._table.unlock()
        return hired

    def _serve(self, hired: list[tuple[Front, Identity]]) -> bool:
        """Look at all who wait; return whether anything has become wanted that was not.

        Those for whom a worker is to be started are put on the list, and wait no longer.
        """
        promised: list[Identity] = []  # to whom the places go that are about to come free
        short: set[Identity] = set()
        crowded = False
        for front, tenant in tuple(self._waiting.items()):
            starting = [other for _, other in hired]
            if worker := self._idle_worker_of(tenant):
                self._grant(front, worker)
            elif self._count(tenant) + (promised + starting).count(tenant) >= self._per_tenant:
                short.add(tenant)
            elif len(self._workers) + len(hired) < self._bound:
                hired.append((front, self._waiting.pop(front)))
            elif len(promised) < len(self._ending) or self._end_the_least_recently_used():
                promised.append(tenant)
            else:
                crowded = True
        return self._want(lambda tenant: crowded or tenant in short)

    def _idle(self) -> list[TenantWorker]:
        """Return those that nobody has, by last use, the longest ago first."""
        owners, uses = self._table.owners, self._table.uses
        idle = [worker for worker in self._workers if not owners[worker.slot]]
        return sorted(idle, key=lambda worker: uses[worker.slot])

    def _idle_worker_of(self, tenant: Identity) -> TenantWorker | None:
        """Return the one most recently used, whose memory is the most likely to be in caches."""
        return next((worker for worker in reversed(self._idle()) if worker.tenant == tenant), None)

    def _count(self, tenant: Identity) -> int:
        return sum(worker.tenant == tenant for worker in self._workers)

    def _grant(self, front: Front, worker: TenantWorker) -> None:
        self._waiting.pop(front, None)
        self._table.give(worker.slot, front.number)
        front.granted = worker
        front.grant(worker)

    def _grant_new(self, front: Front, tenant: Identity) -> None:
        slot = self._table.free_slot()
        try:
            if slot is None:  # more fronts than the table was made for have yet to let go of theirs
                raise BlockingIOError("the table of workers is full")
            worker = self._start(tenant)
        except OSError as error:
            front.refuse(error)
            return
        self._serial += 1
        worker.slot, worker.serial = slot, self._serial
        self._table.serials[slot] = self._serial
        self._table.wanted[slot] = 0
        self._workers.add(worker)
        self._grant(front, worker)  # without the lock: no front knows this serial yet

    def _end_the_least_recently_used(self) -> bool:
        worker = next(iter(self._idle()), None)
        if worker is not None:
            self._end(worker)
        return worker is not None

    def _end(self, worker: TenantWorker) -> None:
        self._table.owners[worker.slot] = ENDING
        self._ending.add(worker)
        worker.end()

    def _want(self, helps: Callable[[Identity], bool]) -> bool:
        """Mark the workers that would help; return whether one is that was not."""
        more = False
        for worker in self._workers - self._ending:
            wanted = helps(worker.tenant)
            more = more or (wanted and not self._table.wanted[worker.slot])
            self._table.wanted[worker.slot] = int(wanted)
        return more
