"""Threads that wait for each other."""

import threading
from concurrent.futures import ThreadPoolExecutor

from harness.trial.barrier import Barrier
from tests.harness.live import PATIENCE


def test_all_hear_the_same_moment() -> None:
    point = Barrier(3)
    with ThreadPoolExecutor(3) as executor:
        first = list(executor.map(lambda _: point.meet(), range(3)))
        second = list(executor.map(lambda _: point.meet(), range(3)))
    assert len(set(first)) == len(set(second)) == 1
    assert first[0] <= second[0]


def test_nobody_waits_for_who_has_left() -> None:
    point = Barrier(3)
    met = threading.Event()

    def meet() -> None:
        point.meet()
        met.set()

    with ThreadPoolExecutor(2) as executor:
        others = [executor.submit(meet) for _ in range(2)]
        assert not met.wait(0.05)
        point.leave()
        for other in others:
            other.result(timeout=PATIENCE)


def test_the_last_may_leave() -> None:
    point = Barrier(1)
    assert point.meet() > 0
    point.leave()
