"""The alarm; how exact it is depends on the machine, so that only "not early" can be a test."""

import time
from pathlib import Path

import gevent
import pytest

from workloads.load.alarm import Alarm


def test_it_is_never_early_and_others_run_meanwhile() -> None:
    alarm = Alarm()
    ran: list[int] = []
    gevent.spawn(ran.append, 1)
    for delay in (0.0003, 0.001, 0.02):
        moment = time.monotonic() + delay
        alarm.wait_until(moment)
        assert time.monotonic() >= moment
    alarm.close()
    assert ran == [1]


def test_for_what_is_past_nobody_waits() -> None:
    alarm = Alarm()
    ran: list[int] = []
    gevent.spawn(ran.append, 1)
    alarm.wait_until(time.monotonic())
    alarm.close()
    assert ran == []
    gevent.sleep(0)


def test_one_who_is_stopped_while_waiting_leaves_nothing() -> None:
    before = len(list(Path("/proc/self/fd").iterdir()))
    alarm = Alarm()
    waiting = gevent.spawn(alarm.wait_until, time.monotonic() + 60)
    gevent.sleep(0.01)
    waiting.kill()
    alarm.close()
    assert len(list(Path("/proc/self/fd").iterdir())) == before


def test_a_refusal_of_the_kernel_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("workloads.load.alarm.CLOCK_MONOTONIC", 99)
    with pytest.raises(OSError, match="Invalid argument"):
        Alarm()
