"""Locust's users: what they tell any listener of the `request` event."""

from collections.abc import Callable
from typing import Any

import pytest

COLLECT = """
import json, sys, time
import gevent
from locust.env import Environment
from workloads.load import spec as load
from workloads.load.users import Plan, following, user_class

client, port = sys.argv[1], int(sys.argv[2])
tenants = [{"name": "t0001", "uid": 47001, "gid": 47001}]
fields = {"host": "127.0.0.1", "port": port, "workload": "hello", "tenants": tenants}
fields |= {"rate": 300} if client == "open" else {"client": client}
wanted = load.read(fields)
environment = Environment(user_classes=[following(user_class(Plan.of(wanted)), Plan.of(wanted))])
seen = []

def note(request_type, name, response_time, response_length, exception, context, start_time,
         response, **_):
    told = [request_type, name, response_length, str(exception or ""), context["tenant"]]
    told += [type(response_time).__name__, type(start_time).__name__]
    if told not in seen:
        seen.append(told)

environment.events.request.add_listener(note)
runner = environment.create_local_runner()
runner.start(2, spawn_rate=2)
# The compiled client tells when its users have stopped.
deadline = time.monotonic() + (0.5 if client == "compiled" else 20)
while environment.stats.total.num_requests <= 10 and time.monotonic() < deadline:
    gevent.sleep(0.1)
runner.quit()
total = environment.stats.total
print(json.dumps({"seen": seen, "counted": total.num_requests, "failed": total.num_failures}))
"""


@pytest.mark.parametrize("client", ["compiled", "lean", "fasthttp", "open"])
def test_right_replies(
    stub: Callable[[str], int], in_locust: Callable[..., Any], client: str
) -> None:
    told = in_locust(COLLECT, client, stub("hello"))
    assert told["seen"] == [["GET", "/hello.py", 67, "", "t0001", "float", "float"]]
    assert told["counted"] > 10
    assert told["failed"] == 0


@pytest.mark.parametrize("client", ["compiled", "lean", "fasthttp", "open"])
@pytest.mark.parametrize(
    ("play", "reason"),
    [("wrong-status", "status 500 instead of 200"), ("reset", "")],
)
def test_offences_are_exceptions(
    stub: Callable[[str], int], in_locust: Callable[..., Any], client: str, play: str, reason: str
) -> None:
    told = in_locust(COLLECT, client, stub(play))
    assert told["counted"] == told["failed"] > 1
    assert all(exception for *_, exception, _, _, _ in told["seen"])
    assert all(reason in exception for *_, exception, _, _, _ in told["seen"])


ONE_AT_A_TIME = """
import json, sys, time
import gevent
from locust.env import Environment
from workloads.load import spec as load
from workloads.load.users import Plan, following, user_class

tenants = [{"name": "t0001", "uid": 47001, "gid": 47001}]
fields = {"host": "127.0.0.1", "port": int(sys.argv[1]), "workload": "hello", "tenants": tenants}
wanted = load.read({**fields, "rate": 200, "schedule": "uniform"})
plan = Plan.of(wanted)
environment = Environment(user_classes=[following(user_class(plan), plan)])
seen = []

def note(response_time, context, **_):
    times = [context[name] for name in ("intended", "began", "completed")]
    seen.append([*times, response_time])

environment.events.request.add_listener(note)
runner = environment.create_local_runner()
deadline = time.monotonic() + 20
runner.start(3, spawn_rate=3)
while len(seen) < 30 and time.monotonic() < deadline:
    gevent.sleep(0.1)
runner.quit()
first, *_, last = sorted(intended for intended, *_ in seen)
print(json.dumps({"seen": seen, "meant": [*plan.schedule.within(first, last), last]}))
"""


def test_users_of_an_open_load_send_when_it_was_intended(
    stub: Callable[[str], int], in_locust: Callable[..., Any]
) -> None:
    told = in_locust(ONE_AT_A_TIME, stub("hello"))
    seen = told["seen"]
    sent = {intended for intended, *_ in seen}
    assert sent <= {*told["meant"]}
    # Two of three users may have been stopped before the answer came that the third had.
    assert len(told["meant"]) - len(sent) <= 2
    for intended, began, completed, response_ms in seen:
        assert intended <= began < completed
        assert response_ms == pytest.approx((completed - intended) * 1e3)
