"""Load shapes: as they are written, and under Locust's own runner."""

from collections.abc import Callable
from typing import Any

import pytest

USERS_AT = """
import json, sys
from workloads.load.shapes import parse
shape = parse(sys.argv[1])()
print(json.dumps([shape.users_at(float(at)) for at in sys.argv[2:]]))
"""

REFUSED = """
import json, sys
from workloads.errors import WorkloadError
from workloads.load.shapes import parse
refused = []
for text in sys.argv[1:]:
    try:
        parse(text)
    except WorkloadError as error:
        refused.append(bool(error.hint))
print(json.dumps(refused))
"""

FOLLOWED = """
import json
import gevent
from locust import User, constant, task
from locust.env import Environment
from workloads.load.shapes import parse

class Idle(User):
    wait_time = constant(60)

    @task
    def idle(self):
        pass

environment = Environment(user_classes=[Idle], shape_class=parse("steps:1,4,6@1")())
runner = environment.create_local_runner()
seen = []
runner.start_shape()
while runner.shape_greenlet is not None:
    if runner.user_count not in seen:
        seen.append(runner.user_count)
    gevent.sleep(0.02)
runner.quit()
print(json.dumps(seen))
"""


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("steps:1,2,8@10", {0: 1, 9.9: 1, 10: 2, 25: 8, 30: None}),
        ("steps:3@0.5", {0: 3, 0.6: None}),
        ("ramp:1-5@4", {0: 1, 1: 2, 2.1: 3, 3.9: 5, 4: None}),
        ("ramp:5-1@4", {0: 5, 3: 2}),
        ("steps:100,200/s@2", {0: 4, 3.9: 4, 4: None}),
        ("ramp:10-500/s@60", {0: 4, 59.9: 4, 60: None}),
    ],
)
def test_users_as_time_goes_by(
    in_locust: Callable[..., Any], text: str, expected: dict[float, int | None]
) -> None:
    assert in_locust(USERS_AT, text, *expected) == list(expected.values())


RATES = """
import json, sys
from workloads.load.shapes import parse
from dataclasses import astuple
print(json.dumps([astuple(parse(text).arrivals) for text in sys.argv[1:]]))
"""


def test_rates_as_time_goes_by(in_locust: Callable[..., Any]) -> None:
    assert in_locust(RATES, "steps:100,200/s@2", "ramp:500-10/s@60") == [
        [200, "poisson", [[2, 100, 100], [2, 200, 200]]],
        [10, "poisson", [[60, 500, 10]]],
    ]


def test_what_is_no_shape(in_locust: Callable[..., Any]) -> None:
    texts = [
        "",
        "steps",
        "steps:@5",
        "steps:0@5",
        "steps:1,@5",
        "steps:1@0",
        "ramp:1@5",
        "ramp:1-2",
        "steps:1/s",
        "ramp:1/s-2/s@5",
    ]
    assert in_locust(REFUSED, *texts) == [True] * len(texts)


def test_locust_follows(in_locust: Callable[..., Any]) -> None:
    # In between there may be a moment in which not all have been started.
    assert [count for count in in_locust(FOLLOWED) if count in (1, 4, 6)] == [1, 4, 6]
