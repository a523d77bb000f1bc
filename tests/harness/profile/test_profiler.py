"""Real servers, profiled: phases add up, and stamps and the kernel agree.

Both clocks are CLOCK_MONOTONIC; the kernel's is cut to whole microseconds. So what the kernel saw
between two stamps may seem earlier than the first by less than RESOLUTION_NS, and never later than
the second.
"""

from collections.abc import Iterator
from contextlib import ExitStack
from itertools import pairwise
from typing import NamedTuple

import pytest

from harness.profile import profiler
from harness.profile.ftrace import CREDENTIAL_CALLS, RESOLUTION_NS, Event
from harness.profile.phases import AFTERWARDS, REQUEST, SUM_WITHIN, Passed
from harness.profile.profiler import Procedure, Profiled, Profiler, Tracing, settled
from harness.target.sites import settle
from harness.target.targets import available, choose
from tests.harness.live import needs_root

pytestmark = needs_root

TINY = Procedure(tenants=2, requests=12, most_s=20.0, counted=5)
MODES = [target.name for target in available()]


class Place(NamedTuple):
    """Where targets are profiled."""

    profiler: Profiler
    tracing: Tracing


@pytest.fixture(scope="module")
def place() -> Iterator[Place]:
    with ExitStack() as stack:
        resources, tracing = stack.enter_context(settled())
        site = settle(resources, TINY.tenants, None)
        yield Place(Profiler(resources, site, TINY), tracing)


@pytest.fixture(scope="module")
def profiles() -> dict[str, Profiled]:
    """What was found so far, so that no target is profiled twice."""
    return {}


@pytest.fixture
def found(place: Place, profiles: dict[str, Profiled], request: pytest.FixtureRequest) -> Profiled:
    name: str = request.param
    if name not in profiles:
        (target,) = choose([name])
        profiles[name] = place.profiler.measure(target, place.tracing)
    return profiles[name]


def events_of(found: Profiled) -> Iterator[tuple[Passed, list[Event]]]:
    """Yield each request but the last with what the kernel saw until the next one began."""
    for one, following in pairwise(found.passed):
        yield one, [e for e in found.events if one.began <= e.at_ns < following.began]


@pytest.mark.parametrize("found", MODES, indirect=True)
def test_the_phases_of_each_mode_add_up_to_its_service_time(found: Profiled) -> None:
    profile = found.profile
    assert abs(profile.accounted - 1) <= SUM_WITHIN
    assert profile.requests == TINY.requests
    wanted = [step.phase for step in found.course.request if step.phase not in profile.missing]
    assert [phase.phase for phase in profile.phases if phase.part == REQUEST] == wanted
    afterwards = {phase.phase for phase in profile.phases if phase.part == AFTERWARDS}
    assert afterwards == {s.phase for s in found.course.afterwards} - {*profile.missing}


@pytest.mark.parametrize("found", MODES, indirect=True)
def test_the_kernel_counts_what_each_mode_does(found: Profiled) -> None:
    counts = found.counts
    assert counts.source in ("tracefs", "strace")
    made = {"clone", "clone3", "vfork", "fork"} & counts.calls.keys()
    assert bool(made) == (counts.forks >= 1)
    assert any(call.startswith("accept") for call in counts.calls)
    assert counts.page_faults >= 0


@pytest.mark.parametrize("found", ["harache", "sandbox", "zygote"], indirect=True)
def test_the_kernel_sees_a_fork_before_its_child_stamps(place: Place, found: Profiled) -> None:
    _need(place)
    for one, events in events_of(found):
        (fork,) = (event for event in events if event.name == "sched_process_fork")
        assert one.points["spawning"] - RESOLUTION_NS <= fork.at_ns <= one.points["forked"]


@pytest.mark.parametrize(
    ("found", "start", "end"),
    [
        ("harache", "begun", "switched"),
        ("sandbox", "walled", "switched"),
        ("zygote", "begun", "switched"),
        ("suid2", "located", "switched"),
        ("ruid2", "located", "switched"),
    ],
    indirect=["found"],
)
def test_the_kernel_sees_credentials_change_between_the_stamps(
    place: Place, found: Profiled, start: str, end: str
) -> None:
    _need(place)
    for one, events in events_of(found):
        last = one.points.get("rendered", one.delivered) if start == "located" else one.points[end]
        calls = [
            event
            for event in events
            if event.detail in CREDENTIAL_CALLS and event.at_ns <= last
            and event.at_ns >= one.points[start] - RESOLUTION_NS
        ]  # fmt: skip
        assert {"setgroups"} < {event.detail for event in calls}
        assert all(event.at_ns <= one.points[end] for event in calls)


@pytest.mark.parametrize("found", ["harache", "sandbox", "cgi", "suexec"], indirect=True)
def test_a_childs_end_lies_between_what_it_did_last_and_its_reaping(
    place: Place, found: Profiled
) -> None:
    _need(place)
    last = "printed" if found.target.mode in ("cgi", "suexec") else "left"
    for one, events in events_of(found):
        (end,) = (event for event in events if event.name == "sched_process_exit")
        begun, reaped = one.points[last], one.points["reaped"]
        assert begun - RESOLUTION_NS <= one.points["exiting"] <= end.at_ns <= reaped


@pytest.mark.parametrize("found", ["cgi", "suexec"], indirect=True)
def test_a_program_is_executed_before_its_first_line(place: Place, found: Profiled) -> None:
    _need(place)
    for one, events in events_of(found):
        executed = [event.at_ns for event in events if event.name == "sched_process_exec"]
        assert len(executed) == (2 if found.target.mode == "suexec" else 1)
        assert one.points["born"] <= executed[0] <= executed[-1] <= one.points["first line"]


def test_without_the_kernels_view_phases_are_missing_and_the_rest_adds_up(place: Place) -> None:
    (target,) = choose(["cgi"])
    found = place.profiler.measure(target, Tracing(None, "not here"))
    assert found.profile.missing == ("fork", "exec", "interpreter end")
    assert found.profile.adds_up
    assert found.events == ()


def test_without_the_kernels_view_strace_counts(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    (target,) = choose(["dso"])
    found = place.profiler.measure(target, Tracing(None, "not here"))
    assert found.counts.source == "strace"
    assert found.counts.calls["chdir"] == 1
    monkeypatch.setenv("PATH", "/nowhere")
    without = place.profiler.measure(target, Tracing(None, "not here"))
    assert (without.counts.source, without.counts.calls) == ("", {})


def test_the_scripts_are_afterwards_what_they_were(place: Place) -> None:
    (target,) = choose(["dso"])
    before = dict(place.profiler._scripts)
    place.profiler.measure(target, place.tracing)
    assert {path: path.read_text() for path in before} == before
    assert "isobench stamps" not in "".join(before.values())


def test_a_procedure_ends_when_its_time_is_over(place: Place) -> None:
    (target,) = choose(["dso"])
    short = Procedure(tenants=2, requests=10_000, most_s=0.01, counted=1)
    hasty = Profiler(place.profiler._resources, place.profiler._site, short)
    assert hasty.measure(target, place.tracing).profile.requests >= profiler.LEAST_REQUESTS


def _need(place: Place) -> None:
    if place.tracing.why_not:
        pytest.skip(place.tracing.why_not)
