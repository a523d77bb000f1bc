"""Which request goes to which of a tenant's workers: the table, and its rules. Pure.

Rule 1: a request goes to the idle worker of its tenant that was busy last, whose memory is the most
likely to be in caches. Where none is idle it waits for its turn.

Rule 2: a tenant without a worker gets one at once; one whose requests wait for longer than
`PATIENCE_SECONDS` gets another, up to a bound. A worker that is about to be free is cheaper than a
new one, and many processes on few processors make all of them slower. So the starter refuses one
for now, with EBUSY, where a processor is what the tenant's workers or the front lack.

Rule 3: a worker that has just answered goes on faster than one that has to be woken, whose memory
is in no cache. So where each processor has a worker to run, a request of a tenant that answers
quickly goes to the busy worker, one ahead, and not to an idle one. Whoever waits behind that for
`PATIENCE_SECONDS` gets another worker all the same.

Rule 4: only an idle worker is ended, by this table and so between two requests: when it has had
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
QUICK: Final = 32
"""After how many answers in a row, each within `PATIENCE_SECONDS`, a tenant counts as quick.

One request of those that it has waits for a script that is slow after all.
"""


class Job:
    """A request, as far as the table is concerned."""

    __slots__ = ("since", "worker")

    def __init__(self) -> None:
        self.since = 0.0
        self.worker: Worker | None = None


class Tenant:
    """One site: its workers that are idle, the last one used at the end, and who waits for one."""

    __slots__ = ("busy", "count", "idle", "quick", "site", "starting", "waiting")

    def __init__(self, site: Site) -> None:
        self.site = site
        self.idle: list[Worker] = []
        self.busy: dict[Worker, None] = {}  # for its order: the last one to become so at the end
        self.waiting: deque[Job] = deque()
        self.count = 0  # of all its workers, also those that are about to start
        self.starting = 0
        self.quick = 0  # how many answers in a row came soon


class Worker:
    """A worker of one tenant; `job` is what it is busy with, `next` what it finds after that."""

    __slots__ = ("job", "next", "number", "since", "tenant")

    def __init__(self, number: int, tenant: Tenant) -> None:
        self.number = number
        self.tenant = tenant
        self.job: Job | None = None
        self.next: Job | None = None
        self.since = 0.0


class Dispatch:
    """The table. Each method is an event, and carries out what follows from it."""

    def __init__(
        self,
        start: Callable[[Site, int], None],
        end: Callable[[Worker], None],
        hand_over: Callable[[Job, Worker], None],
        hand_ahead: Callable[[Job, Worker], bool],
        bound: int,
        per_tenant: int,
        processors: int,
    ) -> None:
        """`start` asks for a worker under a number; `hand_over` gives a job to one.

        `hand_ahead` gives one to a worker that is busy, and says whether that was possible. `bound`
        and `per_tenant` are the most workers, of all tenants and of one.
        """
        self._start = start
        self._end = end
        self._hand_over = hand_over
        self._hand_ahead = hand_ahead
        self._bound = bound
        self._per_tenant = per_tenant
        self._processors = processors
        self._tenants: dict[Site, Tenant] = {}
        self._starting: dict[int, Tenant] = {}
        self._number = 0
        self._count = 0
        self._busy = 0
        # Dictionaries for their order: the longest idle first, and by time of asking.
        self._idle: dict[Worker, None] = {}
        self._crowded: dict[Tenant, None] = {}
        self._hungry: dict[Tenant, None] = {}  # without a worker, and no room for one

    @property
    def is_crowded(self) -> bool:
        """Whether there is somebody who may run out of patience."""
        return bool(self._crowded)

    @property
    def busy(self) -> int:
        """How many workers have a request; a second one, handed ahead, makes none of them two."""
        return self._busy

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
        if tenant.idle and not self._should_queue(tenant):
            self._give_idle(tenant, job, now)
            return
        if not tenant.waiting and tenant.busy:
            worker = next(reversed(tenant.busy))
            if self._give_ahead(worker, job, now):
                return
        job.since = now
        tenant.waiting.append(job)
        if tenant.count:
            self._crowded[tenant] = None
        else:
            self._staff(tenant)

    def _should_queue(self, tenant: Tenant) -> bool:
        """Whether another worker would get no processor of its own, and this tenant's are quick."""
        return self._busy >= self._processors and tenant.quick >= QUICK and bool(tenant.busy)

    def started(self, number: int, worker: Worker, now: float) -> None:
        """A worker that was asked for is there."""
        tenant = worker.tenant
        del self._starting[number]
        tenant.starting -= 1
        self.finished(worker, now)

    def tenant_of(self, number: int) -> Tenant | None:
        """Return whose worker was asked for under a number."""
        return self._starting.get(number)

    def refused(self, number: int, for_now: bool = False) -> list[Job]:
        """A worker that was asked for cannot be had; return the jobs that nobody will do.

        `for_now` says that the tenant has others, which only lack a processor.
        """
        tenant = self._starting.pop(number)
        tenant.starting -= 1
        return self._forget_one(tenant, stranded=not for_now)

    def finished(self, worker: Worker, now: float) -> None:
        """A worker is free, for whoever waits."""
        tenant = worker.tenant
        if worker.job is not None:
            self._leave_busy(worker)
            is_quick = now - worker.job.since < PATIENCE_SECONDS
            tenant.quick = tenant.quick + 1 if is_quick else 0
        worker.job = None
        if worker.next is not None:
            self._go_on(worker, worker.next, now)
        elif self._hungry and self._makes_room(tenant):
            self._dismiss(worker)
        elif tenant.waiting:
            self._give(worker, tenant.waiting.popleft(), now)
            self._load_ahead(worker, now)
        else:
            worker.since = now
            tenant.idle.append(worker)
            self._idle[worker] = None

    def lost(self, worker: Worker) -> Job | None:
        """A worker is gone, or of no more use; the caller sees to its job and its end.

        Return what it was given ahead, which the caller asks for again.
        """
        if worker in self._idle:
            del self._idle[worker]
            worker.tenant.idle.remove(worker)
        self._leave_busy(worker)
        left, worker.next = worker.next, None
        if left is not None:
            left.worker = None
        self._forget_one(worker.tenant)
        return left

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
            elif now - tenant.waiting[0].since < PATIENCE_SECONDS:
                continue
            elif tenant.idle:
                self._give_idle(tenant, tenant.waiting.popleft(), now)
            elif self._may_have_another(tenant):
                self._staff(tenant)

    def _may_have_another(self, tenant: Tenant) -> bool:
        return not tenant.starting and tenant.count < self._per_tenant and self._count < self._bound

    def end_idle(self, before: float) -> None:
        """End workers that have had nothing to do since `before`."""
        for worker in tuple(self._idle):
            if worker.since > before:
                return
            del self._idle[worker]
            worker.tenant.idle.remove(worker)
            self._dismiss(worker)

    def _give_idle(self, tenant: Tenant, job: Job, now: float) -> None:
        worker = tenant.idle.pop()
        del self._idle[worker]
        self._give(worker, job, now)

    def _give(self, worker: Worker, job: Job, now: float) -> None:
        self._become_busy(worker)
        worker.job = job
        job.worker = worker
        job.since = now
        self._hand_over(job, worker)

    def _give_ahead(self, worker: Worker, job: Job, now: float) -> bool:
        """Let a busy worker find a job when it has answered; return whether it does."""
        is_possible = worker.next is None and worker.tenant.quick >= QUICK and not self._hungry
        if not is_possible or not self._hand_ahead(job, worker):
            return False
        worker.next = job
        job.worker = worker
        job.since = now
        return True

    def _go_on(self, worker: Worker, job: Job, now: float) -> None:
        """A worker has come to what it was given ahead."""
        self._become_busy(worker)
        worker.job, worker.next = job, None
        job.since = now
        self._load_ahead(worker, now)

    def _load_ahead(self, worker: Worker, now: float) -> None:
        waiting = worker.tenant.waiting
        if worker.job is not None and waiting and self._give_ahead(worker, waiting[0], now):
            waiting.popleft()

    def _become_busy(self, worker: Worker) -> None:
        worker.tenant.busy[worker] = None
        self._busy += 1

    def _leave_busy(self, worker: Worker) -> None:
        if worker in worker.tenant.busy:
            del worker.tenant.busy[worker]
            self._busy -= 1

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
