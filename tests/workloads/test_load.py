"""A load from JSON, and the requests that it becomes."""

from collections import Counter
from itertools import islice
from typing import Any

import pytest

from workloads import load
from workloads.errors import WorkloadError
from workloads.proof import Identity, Proof


@pytest.fixture
def fields(tenants: list[dict[str, Any]]) -> dict[str, Any]:
    return {"host": "127.0.0.1", "port": 8080, "workload": "hello", "tenants": tenants}


def test_the_least_load(fields: dict[str, Any]) -> None:
    read = load.read(fields)
    assert (read.users, read.connection, read.client, read.seed) == (1, "keep-alive", "lean", 0)
    assert read.tenants[1] == Proof("t0002", Identity(47001, 47001))
    assert read.server is None


def test_groups_in_any_order(fields: dict[str, Any]) -> None:
    fields["server"] = {"uid": 33, "gid": 33, "groups": [34, 4]}
    assert load.read(fields).server == Identity(33, 33, (4, 34))


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"host": "192.0.2.1"}, "not a loopback address"),
        ({"host": "localhost"}, "malformed"),
        ({"workload": "nonsense"}, "unknown workload"),
        ({"connection": "maybe"}, "unknown connection"),
        ({"client": "curl"}, "unknown client"),
        ({"tenants": []}, "without tenants"),
        ({"tenants": [{"name": "t0001"}]}, "KeyError: 'uid'"),
        ({"users": 0}, "without users"),
        ({"popularity": "zipf"}, "unknown popularity"),
    ],
)
def test_unusable_loads(fields: dict[str, Any], change: dict[str, Any], reason: str) -> None:
    with pytest.raises(WorkloadError, match=reason) as caught:
        load.read({**fields, **change})
    assert caught.value.hint


def test_requests_are_in_a_seeded_order(fields: dict[str, Any]) -> None:
    read = load.read(fields)
    first = [ask.tenant for ask in islice(load.endless(read), 1000)]
    assert first == [ask.tenant for ask in islice(load.endless(read), 1000)]
    assert set(Counter(first)) == {"t0001", "t0002"}


def test_each_ask_checks_its_own_tenant(fields: dict[str, Any]) -> None:
    first, second = load.asks(load.read(fields))
    assert b"Host: t0002.localhost" in second.request
    page = b"isobench tenant=t0001 uid=47001 gid=47001 groups=\nHello from t0001\n"
    assert first.check(200, page) is None
    assert "t0001 answered instead of t0002's" in (second.check(200, page) or "")
