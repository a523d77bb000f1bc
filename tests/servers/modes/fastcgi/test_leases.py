"""Who gets a worker: whom the rules serve, whom they end, and that nobody waits for ever."""

import random
from collections.abc import Callable

import pytest

from servers.kernel.credentials import Identity
from servers.modes.fastcgi.leases import Front, Leases, TenantWorker
from servers.modes.fastcgi.table import NOBODY, Table

A, B, C, D = (Identity(uid, uid) for uid in (1, 2, 3, 4))


class FakeWorker(TenantWorker):
    """A worker that says what happens to it; the test says when it has ended."""

    told_to_end = False

    def end(self) -> None:
        assert not self.told_to_end
        self.told_to_end = True


class FakeFront(Front):
    """A front that notes what it is told."""

    has: TenantWorker | None = None
    refused: OSError | None = None

    def grant(self, worker: TenantWorker) -> None:
        self.has = worker

    def refuse(self, error: OSError) -> None:
        self.refused = error


class Game:
    """A table, fronts, and all the workers that were started."""

    def __init__(self, bound: int, fronts: int, per_tenant: int = 8) -> None:
        self.bound, self.per_tenant = bound, per_tenant
        self.alive: list[FakeWorker] = []
        self.failure: OSError | None = None
        self.table = Table(slots=bound + fronts)
        self.leases = Leases(self._start, self.table, bound, per_tenant)
        self.fronts = [FakeFront(self.table.enroll()) for _ in range(fronts)]

    def _start(self, tenant: Identity) -> FakeWorker:
        if self.failure:
            raise self.failure
        worker = FakeWorker(tenant)
        self.alive.append(worker)
        assert len(self.alive) <= self.bound
        assert [worker.tenant for worker in self.alive].count(tenant) <= self.per_tenant
        return worker

    def ask(self, front: FakeFront, tenant: Identity) -> TenantWorker | None:
        front.has = None
        self.leases.ask(front, tenant)
        return front.has

    def use(self, front: FakeFront, tenant: Identity) -> TenantWorker | None:
        """Ask for a worker, and release it."""
        worker = self.ask(front, tenant)
        if worker is not None:
            self.release(front)
        return worker

    def release(self, front: FakeFront) -> None:
        worker, front.has = front.has, None
        assert worker is not None
        assert self.table.owners[worker.slot] == front.number
        self.table.owners[worker.slot] = NOBODY
        if self.table.wanted[worker.slot]:
            self.leases.released()

    def discard(self, front: FakeFront) -> None:
        worker, front.has = front.has, None
        assert worker is not None
        self.leases.discard(front, worker.slot)

    def bury(self) -> None:
        """Let those that were told to end have ended."""
        for worker in [worker for worker in self.alive if worker.told_to_end]:
            self.alive.remove(worker)
            self.leases.ended(worker)

    def tenants(self) -> list[Identity]:
        return [worker.tenant for worker in self.alive]

    def wanted(self) -> list[bool]:
        return [bool(self.table.wanted[worker.slot]) for worker in self.alive]


def test_a_worker_is_used_again_by_its_tenant_only() -> None:
    game = Game(bound=4, fronts=2)
    one, other = game.fronts
    worker = game.use(one, A)
    assert game.use(one, B) not in (worker, None)
    assert game.use(other, A) is worker
    assert game.tenants() == [A, B]


def test_a_worker_that_one_has_is_nobody_elses() -> None:
    game = Game(bound=4, fronts=2)
    one, other = game.fronts
    assert game.ask(one, A) is not game.ask(other, A)
    assert game.tenants() == [A, A]


def test_the_most_recently_used_of_a_tenants_workers_is_chosen() -> None:
    game = Game(bound=4, fronts=3)
    one, two, three = game.fronts
    game.ask(one, A)
    last = game.ask(two, A)
    game.release(one)
    game.release(two)
    assert game.ask(three, A) is last


def test_a_claim_in_the_table_counts_as_a_use() -> None:
    game = Game(bound=2, fronts=1)
    (front,) = game.fronts
    first = game.use(front, A)
    assert first is not None
    game.use(front, B)
    game.table.give(first.slot, front.number)
    front.has = first
    game.release(front)
    game.ask(front, C)
    assert [worker.told_to_end for worker in game.alive] == [False, True]


def test_the_least_recently_used_is_ended_at_the_bound() -> None:
    game = Game(bound=3, fronts=1)
    (front,) = game.fronts
    for tenant in (A, B, C, A):
        game.use(front, tenant)
    assert game.ask(front, D) is None
    assert game.tenants() == [A, B, C]
    game.bury()
    assert front.has
    assert game.tenants() == [A, C, D]


def test_only_as_many_are_ended_as_are_needed() -> None:
    game = Game(bound=3, fronts=3)
    one, two, three = game.fronts
    for tenant in (A, B, C):
        game.use(one, tenant)
    game.ask(one, D)
    game.leases.withdraw(two)  # an event that changes nothing
    assert sum(worker.told_to_end for worker in game.alive) == 1
    assert game.ask(three, C) is not None


def test_a_worker_in_use_is_wanted_and_never_ended() -> None:
    game = Game(bound=1, fronts=2)
    one, other = game.fronts
    game.ask(one, A)
    assert game.ask(other, B) is None
    assert [worker.told_to_end for worker in game.alive] == [False]
    assert game.wanted() == [True]
    game.leases.withdraw(other)
    assert game.wanted() == [False]
    game.ask(other, B)
    game.release(one)
    game.bury()
    assert game.tenants() == [B]
    assert other.has is not None
    assert game.wanted() == [False]


def test_a_tenants_own_limit_wants_only_what_helps() -> None:
    game = Game(bound=4, fronts=3, per_tenant=1)
    one, two, three = game.fronts
    worker = game.ask(one, A)
    game.ask(two, B)
    assert game.ask(three, A) is None
    assert game.wanted() == [True, False]
    game.release(one)
    assert three.has is worker
    assert game.wanted() == [False, False]


def test_who_waits_is_served_in_the_order_of_asking() -> None:
    game = Game(bound=1, fronts=3)
    one, two, three = game.fronts
    game.ask(one, A)
    assert game.ask(two, B) is game.ask(three, A) is None
    game.release(one)
    assert game.ask(one, A) is None  # behind the others
    game.bury()
    assert [bool(front.has) for front in game.fronts] == [False, True, False]
    game.release(two)
    game.bury()
    assert [bool(front.has) for front in game.fronts] == [False, False, True]


def test_a_worker_released_unheard_is_found_by_who_begins_to_wait(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It was not wanted when its front looked, and was when it was asked for."""
    game = Game(bound=1, fronts=2)
    one, other = game.fronts
    worker = game.ask(one, A)
    assert worker is not None
    want = game.leases._want

    def release_meanwhile(helps: Callable[[Identity], bool]) -> bool:
        game.table.owners[worker.slot] = NOBODY
        return want(helps)

    monkeypatch.setattr(game.leases, "_want", release_meanwhile)
    game.ask(other, B)
    game.bury()
    assert other.has is not None


def test_a_discarded_worker_is_ended_and_not_used_again() -> None:
    game = Game(bound=4, fronts=1)
    (front,) = game.fronts
    worker = game.ask(front, A)
    assert worker is not None
    game.discard(front)
    game.leases.discard(front, worker.slot)
    assert [worker.told_to_end for worker in game.alive] == [True]
    assert game.ask(front, A) not in (worker, None)
    game.bury()
    assert game.tenants() == [A]


def test_a_front_that_is_gone_takes_its_worker_with_it() -> None:
    game = Game(bound=4, fronts=2)
    one, other = game.fronts
    game.ask(one, A)
    game.ask(other, B)
    game.leases.front_ended(one)
    assert [worker.told_to_end for worker in game.alive] == [True, False]


def test_a_worker_that_ends_by_itself_makes_room() -> None:
    game = Game(bound=1, fronts=2)
    one, other = game.fronts
    worker = game.ask(one, A)
    assert worker is not None
    game.ask(other, B)
    game.alive.clear()
    game.leases.ended(worker)
    assert other.has is not None
    assert other.has.slot != worker.slot  # which `one` has yet to let go of
    game.release(one)
    assert game.tenants() == [B]
    assert game.table.owners[other.has.slot] == other.number


def test_the_slot_of_a_dead_worker_is_used_again_when_its_front_has_let_go() -> None:
    game = Game(bound=1, fronts=1)
    (front,) = game.fronts
    for _ in range(10):
        worker = game.ask(front, A)
        assert worker is not None
        game.alive.clear()
        game.leases.ended(worker)
        game.discard(front)


def test_an_ask_can_be_withdrawn() -> None:
    game = Game(bound=1, fronts=2)
    one, other = game.fronts
    game.ask(one, A)
    game.ask(other, B)
    game.leases.withdraw(other)
    game.release(one)
    assert game.tenants() == [A]
    assert not game.alive[0].told_to_end


def test_a_grant_that_crosses_its_withdrawal_is_taken_back() -> None:
    game = Game(bound=1, fronts=2)
    one, other = game.fronts
    worker = game.ask(one, A)
    game.leases.withdraw(one)
    assert game.ask(other, A) is worker


def test_a_worker_that_cannot_be_started_is_refused() -> None:
    game = Game(bound=1, fronts=1)
    (front,) = game.fronts
    game.failure = BlockingIOError(11, "no process")
    assert game.ask(front, A) is None
    assert front.refused is game.failure
    game.failure = None
    assert game.ask(front, A) is not None


@pytest.mark.parametrize("seed", range(20))
def test_nobody_waits_for_ever(seed: int) -> None:
    """Fronts that ask at random, and release at random, are all served."""
    chance = random.Random(seed)
    game = Game(chance.randint(1, 4), fronts=6, per_tenant=chance.randint(1, 3))
    waiting_since: dict[FakeFront, int] = {}
    for step in range(3000):
        front = chance.choice(game.fronts)
        if front.has:
            waiting_since.pop(front, None)
            act = chance.random()
            if act < 0.1:
                game.discard(front)
            elif act < 0.6:
                game.release(front)
        elif front not in waiting_since and chance.random() < 0.5:
            waiting_since[front] = step
            game.ask(front, chance.choice((A, B, C, D)))
        if chance.random() < 0.5:
            game.bury()
        if chance.random() < 0.02 and game.alive:  # it ends by itself
            worker = chance.choice(game.alive)
            game.alive.remove(worker)
            game.leases.ended(worker)
        owners = [owner for owner in game.table.owners if owner < 100 and owner]
        assert len(owners) == len(set(owners))
        for waiting, since in waiting_since.items():
            assert waiting.has or step - since < 500, "it starves"
