"""A server's CPU time counts in its own slices, and not while others have their turn."""

import time
from itertools import count

import numpy as np
import pytest

from harness.plan.interleaving import Pace, interleave
from harness.trial.judging.assess import _metered
from harness.trial.meter import Meter, Stretch
from tests.harness.live import PATIENCE


def test_each_stretch_has_what_the_clock_ran_in_it() -> None:
    now, clock = time.monotonic(), count(10)
    wanted = [(now + 0.03, now + 0.05), (now + 0.09, now + 0.12)]
    meter = Meter(lambda: float(next(clock)), wanted)
    meter.start()
    meter._thread.join(PATIENCE)
    read = meter.stop()
    assert next(clock) == 14  # it has looked twice a stretch
    assert {one.cpu_s for one in read} <= {1.0}
    assert all(one.begin_s < one.end_s for one in read)


def test_a_stretch_that_is_missed_is_left_out() -> None:
    now = time.monotonic()
    meter = Meter(lambda: 1.0, [(now - 5.0, now - 4.0)])
    meter.start()
    meter.stop()
    assert meter.stop() == ()


def test_it_stops_at_once_and_without_a_clock_tells_nothing() -> None:
    now = time.monotonic()
    patient = Meter(lambda: 1.0, [(now + 3600, now + 3601)])
    patient.start()
    assert patient.stop() == ()
    assert Meter(lambda: 1.0, []).stop() == ()
    blind = Meter(lambda: None, [(now, now + 0.01)])
    blind.start()
    assert blind.stop() == ()


def test_requests_are_those_of_the_stretches_that_were_read() -> None:
    stretches = [Stretch(1.0, 2.0, 0.003), Stretch(5.0, 6.0, 0.001)]
    completed = np.array([0.5, 1.0, 1.5, 3.0, 5.5, 5.9, 6.0])
    assert _metered(stretches, completed) == {"server_cpu_us_per_request": pytest.approx(1_000.0)}
    assert _metered(stretches, np.array([3.0])) == {}
    assert _metered([], completed) == {}


def test_stretches_of_all_loads_follow_each_other_without_a_gap() -> None:
    paces = [Pace(0.03, 0.002), Pace(0.05, 0.01), Pace(0.03, 0.004)]
    interleaving = interleave(paces, 0, 0.3, 0.05, "seed")
    every = sorted(one for place in range(3) for one in interleaving.stretches(place))
    assert every[0][0] == interleaving.measured_from_s
    assert every[-1][1] == pytest.approx(interleaving.measured_to_s)
    assert [end for _, end in every[:-1]] == [begin for begin, _ in every[1:]]
