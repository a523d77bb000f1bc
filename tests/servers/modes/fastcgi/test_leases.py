"""The table of leases: whom it serves, whom it ends, and that nobody waits for ever."""

import random

import pytest

from servers.kernel.credentials import Identity
from servers.modes.fastcgi.leases import Front, Leases, TenantWorker

A, B, C, D = (Identity(uid, uid) for uid in (1, 2, 3, 4))


class FakeWorker(TenantWorker):
    """A worker that says what happens to it; the test says when it has ended."""

    told_to_end = False

    def end(self) -> None:
        assert not self.told_to_end
        self.told_to_end = True


class FakeFront(Front):
    """A front that notes what it is told."""

    granted: TenantWorker | None = None
    refused: OSError | None = None

    def __init__(self) -> None:
        self.recalls = 0

    def grant(self, worker: TenantWorker) -> None:
        self.granted = worker

    def refuse(self, error: OSError) -> None:
        self.refused = error

    def recall(self) -> None:
        self.recalls += 1


class Table:
    """A table, and all the workers that it has started."""

    def __init__(self, bound: int, per_tenant: int = 8) -> None:
        self.bound, self.per_tenant = bound, per_tenant
        self.alive: list[FakeWorker] = []
        self.failure: OSError | None = None
        self.leases = Leases(self._start, bound, per_tenant)

    def _start(self, tenant: Identity) -> FakeWorker:
        if self.failure:
            raise self.failure
        worker = FakeWorker(tenant)
        self.alive.append(worker)
        assert len(self.alive) <= self.bound
        assert [worker.tenant for worker in self.alive].count(tenant) <= self.per_tenant
        return worker

    def ask(self, front: FakeFront, tenant: Identity) -> TenantWorker | None:
        front.granted = None
        self.leases.ask(front, tenant)
        return front.granted

    def bury(self) -> None:
        """Let those that were told to end have ended."""
        for worker in [worker for worker in self.alive if worker.told_to_end]:
            self.alive.remove(worker)
            self.leases.ended(worker)

    def tenants(self) -> list[Identity]:
        return [worker.tenant for worker in self.alive]


def fronts(count: int) -> list[FakeFront]:
    return [FakeFront() for _ in range(count)]


def test_a_worker_is_used_again_by_its_tenant_only() -> None:
    table, (one, other) = Table(bound=4), fronts(2)
    worker = table.ask(one, A)
    assert table.ask(one, B) not in (worker, None)
    assert table.ask(other, A) is worker
    assert table.tenants() == [A, B]


def test_a_leased_worker_is_nobody_elses() -> None:
    table, (one, other) = Table(bound=4), fronts(2)
    assert table.ask(one, A) is not table.ask(other, A)
    assert table.tenants() == [A, A]


def test_the_most_recently_used_of_a_tenants_workers_is_chosen() -> None:
    table, (one, two, three) = Table(bound=4), fronts(3)
    table.ask(one, A)
    last = table.ask(two, A)
    table.leases.give_back(one)
    table.leases.give_back(two)
    assert table.ask(three, A) is last


def test_the_least_recently_used_is_ended_at_the_bound() -> None:
    table, (front,) = Table(bound=3), fronts(1)
    for tenant in (A, B, C, A, D):
        table.ask(front, tenant)
    assert table.tenants() == [A, B, C]
    table.bury()
    assert front.granted
    assert table.tenants() == [A, C, D]
    assert front.recalls == 0


def test_only_as_many_are_ended_as_are_needed() -> None:
    table, (one, two, three) = Table(bound=3), fronts(3)
    for tenant in (A, B, C):
        table.ask(one, tenant)
    table.leases.give_back(one)
    table.ask(one, D)
    table.leases.give_back(two)  # an event that changes nothing
    assert sum(worker.told_to_end for worker in table.alive) == 1
    assert table.ask(three, C) is not None


def test_a_lease_in_use_is_recalled_and_never_ended() -> None:
    table, (one, other) = Table(bound=1), fronts(2)
    table.ask(one, A)
    assert table.ask(other, B) is None
    assert [worker.told_to_end for worker in table.alive] == [False]
    assert one.recalls == 1
    table.leases.give_back(other)
    table.ask(other, B)
    assert one.recalls == 1  # once is enough
    table.leases.give_back(one)
    table.bury()
    assert table.tenants() == [B]
    assert other.granted is not None


def test_a_tenants_own_limit_recalls_only_what_helps() -> None:
    table, (one, two, three) = Table(bound=4, per_tenant=1), fronts(3)
    table.ask(one, A)
    table.ask(two, B)
    assert table.ask(three, A) is None
    assert (one.recalls, two.recalls) == (1, 0)
    table.leases.give_back(one)
    assert three.granted is one.granted


def test_who_waits_is_served_in_the_order_of_asking() -> None:
    table, (one, two, three) = Table(bound=1), fronts(3)
    table.ask(one, A)
    assert table.ask(two, B) is table.ask(three, A) is None
    assert table.ask(one, A) is None  # to ask is to give back, and to queue behind the others
    table.bury()
    assert [bool(front.granted) for front in (one, two, three)] == [False, True, False]
    table.leases.give_back(two)
    table.bury()
    assert [bool(front.granted) for front in (one, two, three)] == [False, True, True]


def test_a_discarded_worker_is_ended_and_not_used_again() -> None:
    table, (front,) = Table(bound=4), fronts(1)
    worker = table.ask(front, A)
    table.leases.discard(front)
    table.leases.discard(front)
    assert [worker.told_to_end for worker in table.alive] == [True]
    assert table.ask(front, A) not in (worker, None)
    table.bury()
    assert table.tenants() == [A]


def test_a_worker_that_ends_by_itself_makes_room() -> None:
    table, (one, other) = Table(bound=1), fronts(2)
    worker = table.ask(one, A)
    assert worker is not None
    table.ask(other, B)
    table.alive.clear()
    table.leases.ended(worker)
    assert other.granted is not None
    table.leases.give_back(one)  # which had it: nothing to give
    assert table.tenants() == [B]


def test_an_ask_can_be_withdrawn() -> None:
    table, (one, other) = Table(bound=1), fronts(2)
    table.ask(one, A)
    table.ask(other, B)
    table.leases.give_back(other)
    table.leases.give_back(one)
    assert table.tenants() == [A]
    assert not table.alive[0].told_to_end


def test_a_worker_that_cannot_be_started_is_refused() -> None:
    table, (front,) = Table(bound=1), fronts(1)
    table.failure = BlockingIOError(11, "no process")
    assert table.ask(front, A) is None
    assert front.refused is table.failure
    table.failure = None
    assert table.ask(front, A) is not None


@pytest.mark.parametrize("seed", range(20))
def test_nobody_waits_for_ever(seed: int) -> None:
    """Fronts that ask at random, and otherwise give back only what is recalled, are all served."""
    chance = random.Random(seed)
    table = Table(bound=chance.randint(1, 4), per_tenant=chance.randint(1, 3))
    everyone = fronts(6)
    waiting_since: dict[FakeFront, int] = {}
    for step in range(3000):
        front = chance.choice(everyone)
        if front.granted:
            waiting_since.pop(front, None)
            if chance.random() < 0.1:
                table.leases.discard(front)
                front.granted = None
            elif front.recalled:
                table.leases.give_back(front)
                front.granted = None
        if front not in waiting_since and chance.random() < 0.5:
            waiting_since[front] = step
            table.ask(front, chance.choice((A, B, C, D)))
        if chance.random() < 0.5:
            table.bury()
        for waiting, since in waiting_since.items():
            assert waiting.granted or step - since < 500, "it starves"
