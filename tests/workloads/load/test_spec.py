"""A load from JSON, and the requests that it becomes."""

from collections import Counter
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from workloads import credential
from workloads.access_log.trace import Playback, Trace
from workloads.errors import WorkloadError
from workloads.load import spec
from workloads.load.schedule import Arrivals
from workloads.proof import Identity, Proof


@pytest.fixture
def fields(tenants: list[dict[str, Any]]) -> dict[str, Any]:
    return {"host": "127.0.0.1", "port": 8080, "workload": "hello", "tenants": tenants}


def test_the_least_load(fields: dict[str, Any]) -> None:
    read = spec.read(fields)
    assert (read.users, read.connection, read.client, read.seed) == (1, "keep-alive", "lean", 0)
    assert read.tenants[1] == Proof("t0002", Identity(47001, 47001))
    assert read.server is None


def test_an_open_load(fields: dict[str, Any]) -> None:
    assert spec.read(fields).arrivals is None
    assert spec.read({**fields, "rate": None}).arrivals is None
    assert spec.read({**fields, "rate": 500}).arrivals == Arrivals(500.0)
    uniform = spec.read({**fields, "rate": 0.5, "schedule": "uniform"})
    assert uniform.arrivals == Arrivals(0.5, "uniform")


def test_groups_in_any_order(fields: dict[str, Any]) -> None:
    fields["server"] = {"uid": 33, "gid": 33, "groups": [34, 4]}
    assert spec.read(fields).server == Identity(33, 33, (4, 34))


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
        ({"rate": 0}, "a load of 0 requests a second"),
        ({"rate": "fast"}, "malformed"),
        ({"rate": 10, "schedule": "weekly"}, "unknown schedule"),
        ({"rate": 10, "client": "fasthttp"}, "cannot send at intended times"),
        ({"popularity": "zipf"}, "unknown popularity"),
    ],
)
def test_unusable_loads(fields: dict[str, Any], change: dict[str, Any], reason: str) -> None:
    with pytest.raises(WorkloadError, match=reason) as caught:
        spec.read({**fields, **change})
    assert caught.value.hint


needs_raw = pytest.mark.skipif(
    credential.obstacle() is not None, reason="only who has CAP_NET_RAW can stamp"
)


@needs_raw
def test_a_key_is_read_and_never_shown(fields: dict[str, Any], tmp_path: Path) -> None:
    key = credential.make_key(tmp_path / "key")
    read = spec.read({**fields, "credential_key": str(key)})
    assert read.credential_key == credential.read_key(key)
    assert "credential_key" not in repr(read)
    assert spec.read({**fields, "credential_key": None}).credential_key is None


@needs_raw
@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"client": "fasthttp"}, "the client fasthttp cannot send a credential in its packets"),
        ({"credential_key": "/no/such/key"}, "holds no key"),
    ],
)
def test_loads_that_cannot_be_stamped(
    fields: dict[str, Any], tmp_path: Path, change: dict[str, Any], reason: str
) -> None:
    key = credential.make_key(tmp_path / "key")
    with pytest.raises(WorkloadError, match=reason) as caught:
        spec.read({**fields, "credential_key": str(key), **change})
    assert caught.value.hint


def test_without_the_capability_a_load_is_refused(
    fields: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(credential, "obstacle", lambda: "it cannot")
    with pytest.raises(WorkloadError, match="it cannot") as caught:
        spec.read({**fields, "credential_key": "/any"})
    assert caught.value.hint.startswith("run it as root")


def test_requests_are_in_a_seeded_order(fields: dict[str, Any]) -> None:
    read = spec.read(fields)
    first = [ask.tenant for ask in islice(spec.endless(read), 1000)]
    assert first == [ask.tenant for ask in islice(spec.endless(read), 1000)]
    assert set(Counter(first)) == {"t0001", "t0002"}


def test_each_ask_checks_its_own_tenant(fields: dict[str, Any]) -> None:
    first, second = spec.asks(spec.read(fields))
    assert b"Host: t0002.localhost" in second.request
    page = b"isobench tenant=t0001 uid=47001 gid=47001 groups=\nHello from t0001\n"
    assert first.check(200, page) is None
    assert "t0001 answered instead of t0002's" in (second.check(200, page) or "")


def trace_in(path: Path) -> dict[str, Any]:
    """Two requests to the second tenant, one to the first, of two workloads."""
    columns = ([5, 6, 7], [1, 0, 1], [1, 0, 0])
    path.write_bytes(Trace.of(*(np.array(one, dtype=np.int64) for one in columns)).to_bytes())
    return {"file": str(path), "speed": 1, "at": 0, "lead_s": 0}


def test_a_log_decides_tenant_and_workload_of_each_request(
    fields: dict[str, Any], tmp_path: Path
) -> None:
    fields |= {"workload": "hello+page:5ms", "trace": trace_in(tmp_path / "trace.npy")}
    read = spec.read(fields | {"client": "compiled"})
    assert isinstance(read.arrivals, Playback)
    assert read.client == "lean"
    asked = [(one.tenant, one.workload.name) for one in islice(spec.endless(read), 4)]
    assert asked == [("t0002", "page:5ms"), ("t0001", "hello"), ("t0002", "hello"), asked[0]]
    first = [(one.tenant, one.workload.name) for one in spec.first_asks(read, 1)]
    assert first == [("t0001", "hello"), ("t0001", "page:5ms")]


def test_a_log_with_more_workloads_than_the_load_is_refused(
    fields: dict[str, Any], tmp_path: Path
) -> None:
    fields["trace"] = trace_in(tmp_path / "trace.npy")
    with pytest.raises(WorkloadError, match="2 workloads, the load 2 and 1"):
        spec.read(fields)
    with pytest.raises(WorkloadError, match="KeyError: 'speed'"):
        spec.read(fields | {"workload": "hello+sqlite", "trace": {"file": fields["trace"]["file"]}})
