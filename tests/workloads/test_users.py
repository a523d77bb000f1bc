"""Locust's users: what they tell any listener of the `request` event."""

from collections.abc import Callable
from typing import Any

import pytest

COLLECT = """
import json, sys
import gevent
from locust.env import Environment
from workloads import load
from workloads.users import USERS, Plan, following

client, port = sys.argv[1], int(sys.argv[2])
tenants = [{"name": "t0001", "uid": 47001, "gid": 47001}]
fields = {"host": "127.0.0.1", "port": port, "workload": "hello", "tenants": tenants}
environment = Environment(user_classes=[following(USERS[client], Plan.of(load.read(fields)))])
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
gevent.sleep(0.3)
runner.quit()
total = environment.stats.total
print(json.dumps({"seen": seen, "counted": total.num_requests, "failed": total.num_failures}))
"""


@pytest.mark.parametrize("client", ["lean", "fasthttp"])
def test_right_replies(
    stub: Callable[[str], int], in_locust: Callable[..., Any], client: str
) -> None:
    told = in_locust(COLLECT, client, stub("hello"))
    assert told["seen"] == [["GET", "/hello.py", 67, "", "t0001", "float", "float"]]
    assert told["counted"] > 10
    assert told["failed"] == 0


@pytest.mark.parametrize("client", ["lean", "fasthttp"])
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
