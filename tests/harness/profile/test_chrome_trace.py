"""Traces have the structure that Perfetto reads, and lose nothing."""

import json
from dataclasses import replace
from typing import Any

from harness.profile.chrome_trace import MOST_REQUESTS, trace
from harness.profile.ftrace import Event
from harness.profile.phases import Passed
from tests.harness.profile.test_phases import COURSE, ONE, POINTS

EVENTS = [
    Event(15_000, 7, "sched_process_fork", "comm=python"),
    Event(20_000, 8, "enter", "setuid"),
    Event(21_000, 8, "exit", "setuid"),
]
KINDS = {"X", "i", "M"}


def shifted(number: int) -> Passed:
    """Return the request that comes so many milliseconds later."""
    later = number * 1_000_000
    points = {point: at + later for point, at in POINTS.items()}
    return Passed(ONE.began + later, ONE.delivered + later, points)


def rows(content: dict[str, Any], kind: str) -> list[dict[str, Any]]:
    return [event for event in content["traceEvents"] if event["ph"] == kind]


def test_each_event_has_what_its_kind_needs() -> None:
    content = json.loads(json.dumps(trace("dso", COURSE, [ONE, shifted(1)], EVENTS)))
    for event in content["traceEvents"]:
        assert event["ph"] in KINDS
        assert isinstance(event["name"], str)
        assert isinstance(event["pid"], int)
        assert isinstance(event["tid"], int)
        if event["ph"] == "X":
            assert event["ts"] >= 0
            assert event["dur"] >= 0
        if event["ph"] == "i":
            assert event["s"] == "t"
    named = {event["tid"] for event in rows(content, "M") if event["name"] == "thread_name"}
    assert {event["tid"] for event in content["traceEvents"]} <= named | {1}


def test_phases_fill_their_request_and_follow_each_other() -> None:
    content = trace("dso", COURSE, [ONE], [])
    request, *phases = rows(content, "X")
    within = [one for one in phases if one["cat"] == "request"]
    assert request["name"] == "request 1"
    assert sum(one["dur"] for one in within) == request["dur"] == 80.0
    at = 0.0
    for one in within:
        assert one["ts"] == at
        at += one["dur"]
    assert [one["name"] for one in phases if one["cat"] == "afterwards"] == ["exit", "reap"]


def test_what_the_kernel_saw_stands_at_its_time() -> None:
    content = trace("dso", COURSE, [ONE], EVENTS)
    seen = [(one["ts"], one["tid"], one["name"]) for one in rows(content, "i")]
    assert seen == [
        (15.0, 7, "sched_process_fork"),
        (20.0, 8, "enter setuid"),
        (21.0, 8, "exit setuid"),
    ]


def test_only_the_first_requests_are_shown_and_what_belongs_to_them() -> None:
    many = [shifted(number) for number in range(MOST_REQUESTS + 5)]
    late = Event((MOST_REQUESTS + 1) * 1_000_000, 7, "sched_process_fork", "")
    content = trace("dso", COURSE, many, [*EVENTS, late])
    requests = [one for one in rows(content, "X") if one["name"].startswith("request ")]
    assert len(requests) == MOST_REQUESTS
    assert len(rows(content, "i")) == len(EVENTS)


def test_a_request_in_disorder_is_shown_without_phases() -> None:
    early = replace(ONE, points={**POINTS, "printed": 1})
    assert len(rows(trace("dso", COURSE, [early], []), "X")) == 1


def test_nothing_is_an_empty_trace() -> None:
    assert trace("dso", COURSE, [], [])["traceEvents"] == []
