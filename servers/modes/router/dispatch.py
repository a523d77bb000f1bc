"""Which request goes to which of a tenant's workers: the table, and its rules. Pure.

Rule 1: a request goes to the idle worker of its tenant that was busy last, whose memory is the most
likely to be in caches. Where none is idle it waits for its turn.

Rule 2: a tenant without a worker gets one at once; one whose requests wait for longer than
`PATIENCE_SECONDS` gets another, up to a bound. A worker that is about to be free is cheaper than a
new one, and many processes on few processors make all of them slower.

Rule 3: only an idle worker is ended, by this table and so between two requests: when it has had
nothing to do for long, or as the least recently used, to make room for another tenant's. Where none
is idle, the next that comes free makes room. So no request is lost to that.
"""

from __future__ import annotations

from servers.sites import Site

TYPE_CHECKING = False  # what mypy believes to be true, as that of `typing`
if TYPE_CHECKING:
    from collections import deque
    from collections.abc import Callable, Iterator
    from typing import Final
else:  # what the other is made of
    from _collections import deque

PATIENCE_SECONDS: Final = 0.01


class Job:
    """A request, as far as the table is concerned."""

    __slots__ = ("since", "worker")

    def __init__(self) -> None:
        self.since = 0.0
        self.worker: Worker | None = None


class Tenant:
    """One site: its workers that are idle, the last one used at the end, and who waits for one."""

    __slots__ = ("count", "idle", "site", "starting", "waiting")

    def __init__(self, site: Site) -> None:
        self.site = site
        self.idle: list[Worker] = []
        self.waiting: deque[Job] = deque()
        self.count = 0  # of all its workers, also those that are about to start
        self.starting = 0


class Worker:
    """A worker of one tenant; `job` is what it is busy with."""

    __slots__ = ("job", "number", "since", "tenant")

    def __init__(self, number: int, tenant: Tenant) -> None:
        self.number = number
        self.tenant = tenant
        self.job: Job | None = None
        self.since = 0.0


class Dispatch:
    """The table. Each method is an event, and carries out what follows from it."""

    def __init__(
        self,
        start: Callable[[Site, int], None],
        end: Callable[[Worker], None],
        hand_over: Callable[[Job, Worker], None],
        bound: int,
        per_tenant: int,
    ) -> None:
        """`start` asks for a worker under a number; `hand_over` gives a job to one.

        `bound` and `per_tenant` are the most workers, of all tenants and of one.
        """
        self._start = start
        self._end = end
        self._hand_over = hand_over
        self._bound = bound
        self._per_tenant = per_tenant
        self._tenants: dict[Site, Tenant] = {}
        self._starting: dict[int, Tenant] = {}
        self._number = 0
        self._count = 0
        # Dictionaries for their order: the longest idle first, and by time of asking.
        self._idle: dict[Worker, None] = {}
        self._crowded: dict[Tenant, None] = {}
        self._hungry: dict[Tenant, None] = {}  # without a worker, and no room for one

    @property
    def is_crowded(self) -> bool:
        """Whether there is somebody who may run out of patience."""
        return bool(self._crowded)

    @property
    def workers(self) -> int:
        """How many workers there are, with those that are about to start."""
        return self._count

    @property
    def has_workers(self) -> bool:
        """Whether there is any worker."""
        return self._count > 0

    def ask(self, job: Job, site: Site, now: float) -> None:
        """A request has come."""
        tenant = self._tenants.get(site)
        if tenant is None:
            tenant = self._tenants[site] = Tenant(site)
        if tenant.idle:
            worker = tenant.idle.pop()
            del self._idle[worker]
            self._give(worker, job, now)
            return
        job.since = now
        tenant.waiting.append(job)
        if tenant.count:
            self._crowded[tenant] = None
        else:
            self._staff(tenant)

    def started(self, number: int, worker: Worker, now: float) -> None:
        """A worker that was asked for is there."""
        tenant = worker.tenant
        del self._starting[number]
        tenant.starting -= 1
        self.finished(worker, now)

    def tenant_of(self, number: int) -> Tenant | None:
        """Return whose worker was asked for under a number."""
        return self._starting.get(number)

    def refused(self, number: int) -> list[Job]:
        """A worker that was asked for cannot be had; return the jobs that nobody will do."""
        tenant = self._starting.pop(number)
        tenant.starting -= 1
        return self._forget_one(tenant, stranded=True)

    def finished(self, worker: Worker, now: float) -> None:
        """A worker is free, for whoever waits."""
        tenant = worker.tenant
        worker.job = None
        if self._hungry and self._makes_room(tenant):
            self._dismiss(worker)
        elif tenant.waiting:
            self._give(worker, tenant.waiting.popleft(), now)
        else:
            worker.since = now
            tenant.idle.append(worker)
            self._idle[worker] = None

    def lost(self, worker: Worker) -> None:
        """A worker is gone, or of no more use; the caller sees to its job and its end."""
        if worker in self._idle:
            del self._idle[worker]
            worker.tenant.idle.remove(worker)
        self._forget_one(worker.tenant)

    def withdraw(self, job: Job, site: Site) -> None:
        """Whoever waits for a worker does so no longer."""
        tenant = self._tenants[site]
        if job in tenant.waiting:
            tenant.waiting.remove(job)

    def attend(self, now: float) -> None:
        """See to those who have waited for long."""
        for tenant in tuple(self._crowded):
            if not tenant.waiting:
                del self._crowded[tenant]
            elif self._may_have_another(tenant, now):
                self._staff(tenant)

    def _may_have_another(self, tenant: Tenant, now: float) -> bool:
        return (
            not tenant.starting
            and now - tenant.waiting[0].since >= PATIENCE_SECONDS
            and tenant.count < self._per_tenant
            and self._count < self._bound
        )

    def end_idle(self, before: float) -> None:
        """End workers that have had nothing to do since `before`."""
        for worker in tuple(self._idle):
            if worker.since > before:
                return
            del self._idle[worker]
            worker.tenant.idle.remove(worker)
            self._dismiss(worker)

    def _give(self, worker: Worker, job: Job, now: float) -> None:
        worker.job = job
        job.worker = worker
        job.since = now
        self._hand_over(job, worker)

    def _staff(self, tenant: Tenant) -> None:
        """Have a worker started, if there is room or can be made."""
        self._hungry.pop(tenant, None)
        if self._count >= self._bound:
            self._hungry[tenant] = None
            if self._idle:
                worker = next(iter(self._idle))
                del self._idle[worker]
                worker.tenant.idle.remove(worker)
                self._dismiss(worker)
            return
        self._number += 1
        self._count += 1
        tenant.count += 1
        tenant.starting += 1
        self._starting[self._number] = tenant
        self._start(tenant.site, self._number)

    def _makes_room(self, tenant: Tenant) -> bool:
        """Return whether a worker that is free had better go: others have waited for longer."""
        if not tenant.waiting:
            return True
        first = next(self._waiting_of(self._hungry), None)
        # Not for one that came at the same time, or two would make room for each other for ever.
        return first is None or first.since < tenant.waiting[0].since

    def _waiting_of(self, tenants: dict[Tenant, None]) -> Iterator[Job]:
        return (tenant.waiting[0] for tenant in tenants if tenant.waiting)

    def _dismiss(self, worker: Worker) -> None:
        self._end(worker)
        self._forget_one(worker.tenant)

    def _forget_one(self, tenant: Tenant, stranded: bool = False) -> list[Job]:
        """Count one worker less, and let somebody have its place.

        Where it was the last of its tenant and none could be had (`stranded`), those who wait for
        one do so in vain: return them.
        """
        self._count -= 1
        tenant.count -= 1
        given_up: list[Job] = []
        if stranded and not tenant.count:
            given_up, tenant.waiting = [*tenant.waiting], deque()
        for hungry in tuple(self._hungry):
            if not hungry.waiting or hungry.count:
                del self._hungry[hungry]
            elif self._count < self._bound:
                self._staff(hungry)
        if tenant.waiting and not tenant.count and tenant not in self._hungry:
            self._staff(tenant)
        return given_up
