"""How the starter and the supervisor know that what a worker lacks is a processor."""

import os
import subprocess
import time

from harness.host.polling import wait_until
from servers.front.starters.run_delay import PATIENCE_SECONDS, RunDelay, Wish


def test_a_process_that_sleeps_does_not_wait_for_a_processor() -> None:
    sleeper = subprocess.Popen(["sleep", "60"])
    try:
        delay = RunDelay(sleeper.pid)
        now = time.monotonic()
        assert delay.is_high(now)  # not known yet
        wait_until(lambda: not delay.is_high(time.monotonic()), 30)
    finally:
        sleeper.kill()
        sleeper.wait()
    assert not delay.is_high(time.monotonic())  # it has ended


def test_of_two_that_compute_on_one_processor_one_waits() -> None:
    core = min(os.sched_getaffinity(0))
    spin = ["taskset", "-c", str(core), "sh", "-c", "while :; do :; done"]
    spinning = [subprocess.Popen(spin) for _ in range(2)]
    try:
        delays = [RunDelay(one.pid) for one in spinning]
        wait_until(lambda: sum(delay.is_high(time.monotonic()) for delay in delays) > 0, 30)
    finally:
        for one in spinning:
            one.kill()
            one.wait()


def test_a_wish_that_lasts_is_urgent() -> None:
    wish = Wish()
    looks = [0.1 * number for number in range(int(10 * PATIENCE_SECONDS) + 2)]
    assert [wish.is_urgent(now) for now in looks][-1]
    assert not wish.is_urgent(looks[-1] + PATIENCE_SECONDS)  # it had an end
