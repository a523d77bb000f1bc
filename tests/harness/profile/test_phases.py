"""From stamps to phases, by numbers that are made up."""

from dataclasses import replace

import pytest

from harness.profile.ftrace import Event
from harness.profile.phases import (
    AFTERWARDS,
    REQUEST,
    UNEXPLAINED,
    Course,
    Disorder,
    Passed,
    profile,
    stretches,
    with_kernel,
)

COURSE = Course.read(
    {
        "request": [
            ["accept", "accepted", "server"],
            ["fork", "born", "kernel"],
            ["exec", "executed", "kernel"],
            ["script", "printed", "script"],
            ["response", "rendered", "server"],
            ["delivery", "delivered", "client"],
        ],
        "afterwards": [["exit", "exited", "kernel"], ["reap", "reaped", "server"]],
    }
)
POINTS = {
    "accepted": 10_000,
    "born": 15_000,
    "executed": 30_000,
    "printed": 60_000,
    "rendered": 65_000,
    "sent": 90_000,
    "exited": 95_000,
    "reaped": 100_000,
}
ONE = Passed(began=0, delivered=80_000, points=POINTS)


def without(*points: str) -> Passed:
    return replace(ONE, points={point: at for point, at in POINTS.items() if point not in points})


def spent(passed: Passed) -> dict[tuple[str, str], int]:
    found = stretches(COURSE, passed)
    return {(one.part, one.phase): (one.end - one.start) // 1000 for one in found}


def test_a_phase_ends_at_its_point_and_begins_where_the_one_before_ended() -> None:
    assert spent(ONE) == {
        (REQUEST, "accept"): 10,
        (REQUEST, "fork"): 5,
        (REQUEST, "exec"): 15,
        (REQUEST, "script"): 30,
        (REQUEST, "response"): 5,
        (REQUEST, "delivery"): 15,
        (AFTERWARDS, "exit"): 5,
        (AFTERWARDS, "reap"): 5,
    }


def test_what_only_the_kernel_sees_is_part_of_the_next_phase_where_it_is_unknown() -> None:
    unseen = without("born", "executed", "exited")
    assert spent(unseen)[REQUEST, "script"] == 50
    assert spent(unseen)[AFTERWARDS, "reap"] == 10
    found = profile(COURSE, [unseen])
    assert found.missing == ("fork", "exec", "exit")
    assert found.accounted == 1
    assert found.adds_up


def test_what_ends_after_an_unknown_point_is_unexplained() -> None:
    lost = without("printed")
    assert spent(lost)[REQUEST, UNEXPLAINED] == 35
    found = profile(COURSE, [lost])
    assert found.accounted == pytest.approx(1 - 35 / 80)
    assert not found.adds_up
    assert UNEXPLAINED in {phase.phase for phase in found.phases}


def test_a_point_before_its_time_makes_a_request_useless_and_is_counted() -> None:
    early = replace(ONE, points={**POINTS, "printed": 20_000})
    with pytest.raises(Disorder, match="printed comes 10000 ns too early"):
        stretches(COURSE, early)
    found = profile(COURSE, [ONE, early, ONE])
    assert (found.requests, found.disordered) == (2, 1)
    with pytest.raises(ValueError, match="no request"):
        profile(COURSE, [early])


def test_the_kernels_microseconds_may_seem_early_by_less_than_one() -> None:
    cut = replace(ONE, points={**POINTS, "born": 9_001})
    assert spent(cut)[REQUEST, "fork"] == 0
    assert profile(COURSE, [cut]).accounted == 1


def test_numbers_are_medians_and_shares_those_of_single_requests() -> None:
    slow = Passed(0, 800_000, {point: 10 * at for point, at in POINTS.items()})
    found = profile(COURSE, [ONE, slow, ONE])
    script = next(phase for phase in found.phases if phase.phase == "script")
    assert (script.order, script.median_us) == (4, 30)
    assert script.p90_us == pytest.approx(30 + 0.8 * 270)
    assert script.share == pytest.approx(30 / 80)
    assert found.service_us == 80
    assert sum(phase.share for phase in found.phases if phase.part == REQUEST) == pytest.approx(1)


def test_events_are_given_to_the_request_in_whose_time_they_fall() -> None:
    bare = [without("born", "executed", "exited"), replace(ONE, began=200_000, points={})]
    events = [
        Event(-5_000, 7, "sched_process_fork", ""),
        Event(15_000, 7, "sched_process_fork", ""),
        Event(20_000, 8, "sched_process_exec", ""),
        Event(30_000, 8, "sched_process_exec", ""),
        Event(94_000, 8, "signal_generate", "sig=10 errno=0"),
        Event(95_000, 8, "signal_generate", "sig=17 errno=0"),
        Event(210_000, 7, "sched_process_fork", ""),
    ]
    first, second = with_kernel(COURSE, bare, events)
    assert dict(first.points) == POINTS
    assert second.points == {"born": 210_000}
