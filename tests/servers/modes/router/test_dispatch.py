"""The table of a router's workers: who serves whom, who is started, who is ended."""

from typing import cast

from servers.modes.router.dispatch import PATIENCE_SECONDS, QUICK, Dispatch, Job, Worker
from servers.sites import Site

A, B, C = (cast("Site", f"site {name}") for name in "abc")


class Play:
    """A table, and what it has asked for."""

    def __init__(self, bound: int = 8, per_tenant: int = 2, processors: int = 1) -> None:
        self.asked_for: list[tuple[Site, int]] = []
        self.ended: list[int] = []
        self.given: list[tuple[Job, int]] = []
        self.given_ahead: list[tuple[Job, int]] = []
        self.table = Dispatch(
            lambda site, number: self.asked_for.append((site, number)),
            lambda worker: self.ended.append(worker.number),
            lambda job, worker: self.given.append((job, worker.number)),
            self._give_ahead,
            bound,
            per_tenant,
            processors,
        )

    def _give_ahead(self, job: Job, worker: Worker) -> bool:
        self.given_ahead.append((job, worker.number))
        return True

    def ask(self, site: Site, now: float = 0.0) -> Job:
        job = Job()
        self.table.ask(job, site, now)
        return job

    def start(self, number: int, now: float = 0.0) -> Worker:
        tenant = self.table.tenant_of(number)
        assert tenant is not None
        worker = Worker(number, tenant)
        self.table.started(number, worker, now)
        return worker


def test_a_tenants_first_request_has_a_worker_started_that_serves_all_who_wait() -> None:
    play = Play()
    jobs = [play.ask(A), play.ask(A)]
    assert play.asked_for == [(A, 1)]
    worker = play.start(1)
    play.table.finished(worker, 0.0)
    assert play.given == [(jobs[0], 1), (jobs[1], 1)]


def test_the_worker_that_was_busy_last_is_asked_first() -> None:
    play = Play()
    play.ask(A)
    play.ask(A)
    first = play.start(1)
    play.table.attend(PATIENCE_SECONDS)
    second = play.start(2, PATIENCE_SECONDS)
    play.table.finished(second, 1.0)
    play.table.finished(first, 2.0)
    play.ask(A, 3.0)
    assert play.given[-1][1] == 1


def test_another_worker_is_for_those_who_wait_for_long_up_to_a_bound() -> None:
    play = Play()
    for _ in range(5):
        play.ask(A)
    play.start(1)
    play.table.attend(PATIENCE_SECONDS / 2)
    assert len(play.asked_for) == 1
    for number in (2, 3, 4):
        play.table.attend(PATIENCE_SECONDS)
        if number == 2:
            play.start(number)
    assert len(play.asked_for) == 2


def test_at_the_bound_the_least_recently_used_makes_room() -> None:
    play = Play(bound=2)
    play.ask(A)
    play.ask(B)
    workers = [play.start(1), play.start(2)]
    play.table.finished(workers[1], 1.0)
    play.table.finished(workers[0], 2.0)
    play.ask(C, 3.0)
    assert play.ended == [2]
    assert play.asked_for[-1] == (C, 3)


def test_where_none_is_idle_the_next_that_is_free_makes_room() -> None:
    play = Play(bound=1)
    play.ask(A, 1.0)
    worker = play.start(1)
    play.ask(B, 2.0)
    play.ask(A, 3.0)
    assert not play.ended
    play.table.finished(worker, 4.0)
    assert play.ended == [1]
    assert play.asked_for[1] == (B, 2)
    play.table.finished(play.start(2), 5.0)
    assert play.asked_for[2] == (A, 3)


def test_a_worker_goes_on_with_who_has_waited_for_longer() -> None:
    play = Play(bound=1)
    play.ask(A, 1.0)
    worker = play.start(1)
    second = play.ask(A, 2.0)
    play.ask(B, 3.0)
    play.table.finished(worker, 4.0)
    assert play.given[-1] == (second, 1)
    play.table.finished(worker, 5.0)
    assert play.ended == [1]


def test_a_lost_worker_is_replaced_where_somebody_waits() -> None:
    play = Play()
    play.ask(A)
    waiting = play.ask(A)
    play.table.lost(play.start(1))
    assert play.asked_for == [(A, 1), (A, 2)]
    play.start(2)
    assert play.given[-1] == (waiting, 2)


def test_who_gets_no_worker_is_told() -> None:
    play = Play()
    jobs = [play.ask(A), play.ask(A)]
    assert play.table.refused(1) == jobs
    assert not play.table.has_workers
    play.ask(A)
    assert play.asked_for[-1] == (A, 2)


def test_who_is_refused_a_worker_for_now_waits_on_for_one() -> None:
    play = Play()
    play.ask(A)
    assert play.table.refused(1, for_now=True) == []
    assert play.asked_for == [(A, 1), (A, 2)]  # since it has none after all


def test_idle_workers_end_after_their_time() -> None:
    play = Play()
    play.ask(A)
    worker = play.start(1)
    play.table.end_idle(9.0)
    assert not play.ended
    play.table.finished(worker, 5.0)
    play.table.end_idle(4.0)
    assert not play.ended
    play.table.end_idle(5.0)
    assert play.ended == [1]
    assert not play.table.has_workers


def test_who_has_given_up_is_not_served() -> None:
    play = Play()
    play.ask(A)
    gone = play.ask(A)
    play.table.withdraw(gone, A)
    worker = play.start(1)
    play.table.finished(worker, 1.0)
    assert gone not in [job for job, _ in play.given]


def test_tenants_that_asked_at_the_same_time_do_not_make_room_for_each_other_for_ever() -> None:
    play = Play(bound=1)
    jobs = [play.ask(A), play.ask(B)]
    worker = play.start(1)
    assert play.given == [(jobs[0], 1)]
    play.table.finished(worker, 0.0)
    assert play.ended == [1]
    play.ask(A)
    play.start(2)
    assert play.given[-1] == (jobs[1], 2)


def quick_worker(play: Play) -> Worker:
    """Have A's first worker started, and answer quickly for some time."""
    play.ask(A)
    worker = play.start(1)
    for _ in range(QUICK):
        play.table.finished(worker, 0.0)
        play.ask(A)
    return worker


def test_a_quick_worker_that_is_busy_finds_the_next_request_when_it_has_answered() -> None:
    play = Play()
    worker = quick_worker(play)
    ahead, waits, last = play.ask(A), play.ask(A), play.ask(A)
    assert play.given_ahead == [(ahead, 1)]
    play.table.finished(worker, 0.0)
    assert worker.job is ahead
    assert play.given_ahead == [(ahead, 1), (waits, 1)]
    play.table.finished(worker, 0.0)
    play.table.finished(worker, 0.0)
    assert worker.job is last
    assert (waits, 1) not in play.given


def test_a_worker_that_was_slow_is_given_nothing_ahead() -> None:
    play = Play()
    worker = quick_worker(play)
    play.table.finished(worker, PATIENCE_SECONDS)
    play.ask(A)
    play.ask(A)
    assert not play.given_ahead


def two_workers(play: Play) -> tuple[Worker, Worker]:
    """Have A's two workers idle, and its answers quick."""
    first = quick_worker(play)
    play.table.finished(first, 0.0)
    for _ in range(3):
        play.ask(A)
    play.table.attend(PATIENCE_SECONDS)
    second = play.start(2)
    for worker in (first, first, second):
        play.table.finished(worker, 0.0)
    play.given_ahead.clear()
    return first, second


def test_an_idle_worker_is_woken_where_there_is_a_processor_for_it() -> None:
    for processors in (1, 2):
        play = Play(processors=processors)
        two_workers(play)
        play.ask(A)
        play.ask(A)
        assert len(play.given_ahead) == 2 - processors


def test_who_waits_for_a_busy_worker_for_long_gets_an_idle_one() -> None:
    play = Play()
    two_workers(play)
    jobs = [play.ask(A) for _ in range(3)]
    assert play.given[-1] == (jobs[0], 2)
    assert play.given_ahead == [(jobs[1], 2)]
    play.table.attend(PATIENCE_SECONDS / 2)
    assert play.given[-1] == (jobs[0], 2)
    play.table.attend(PATIENCE_SECONDS)
    assert play.given[-1] == (jobs[2], 1)


def test_what_a_lost_worker_was_given_ahead_is_to_be_asked_for_again() -> None:
    play = Play()
    worker = quick_worker(play)
    ahead = play.ask(A)
    assert play.table.lost(worker) is ahead
    assert ahead.worker is None
    assert play.asked_for == [(A, 1)]
    play.table.ask(ahead, A, 1.0)
    play.start(2)
    assert play.given[-1] == (ahead, 2)


def test_nothing_is_given_ahead_where_a_tenant_waits_for_room() -> None:
    play = Play(bound=1)
    worker = quick_worker(play)
    play.ask(B, 1.0)
    play.ask(A, 2.0)
    assert not play.given_ahead
    play.table.finished(worker, 3.0)
    assert play.ended == [1]
