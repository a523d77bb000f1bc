"""A server and two load generators on hosts of their own, and what may happen to them mid-trial.

The hosts are network namespaces on this machine. A trial in which something happens is void with
its reason, and the next one is good.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest

from harness.host import fingerprint
from harness.host.polling import wait_until
from harness.plan.loads import Closed, Load, Open
from harness.plan.plan import Plan, Spec
from harness.target.remote_probe import ProbeFailed, RemoteProbe, RemoteReading, Served
from harness.trial.outcome import Trial
from harness.trial.remote import Hosts, RemoteBench
from tests.harness.trial.hosts import Host, address, hosts, obstacle
from workloads import credential

WHY_NOT = obstacle()
pytestmark = pytest.mark.skipif(WHY_NOT is not None, reason=f"no hosts here: {WHY_NOT}")

SERVER, MASTER, OTHER = range(3)
PORT, PROBE, MASTER_PORT = 8080, 8081, 5557
PATIENCE = 60.0


@dataclass
class Place:
    """The hosts, and a bench on that of the master."""

    hosts: tuple[Host, ...]
    bench: RemoteBench
    generator: int
    number: int = 0

    def measure(self, load: Load, seconds: float = 0.6) -> Trial:
        self.number += 1
        return self.bench.measure(Spec(self.number, 1, "dso", "hello", load, "close"))


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    folder = tmp_path_factory.mktemp("hosts")
    key = credential.make_key(folder / "key")
    with ExitStack() as stack:
        patch = stack.enter_context(pytest.MonkeyPatch.context())
        patch.setenv("TMPDIR", str(folder))
        made = stack.enter_context(hosts(3))
        # The server has one name for all, whichever of its links it is reached by.
        to_master = f"{address(SERVER, MASTER)}/32"
        made[OTHER].call("ip", "route", "add", to_master, "via", address(SERVER, OTHER))
        options = ("--host", "0.0.0.0", "--port", str(PORT), "--probe", str(PROBE), "--key", key)
        stack.enter_context(
            made[SERVER].isobench(folder / "serve", "serve", "dso", *options, "--workers", "6")
        )
        master = f"{address(MASTER, OTHER)}:{MASTER_PORT}"
        generate = stack.enter_context(
            made[OTHER].isobench(folder / "generate", "generate", "--master", master, "--key", key)
        )
        stack.enter_context(made[MASTER].entered())
        server = address(SERVER, MASTER)
        probe = RemoteProbe(server, PROBE, credential.read_key(key))
        served = wait_until(lambda: _about(probe), PATIENCE)
        assert served is not None, (folder / "serve").read_text()
        plan = Plan(
            targets=("dso",), loads=(Closed(4),), connections=("close",), blocks=99,
            seconds=0.6, warmup_s=0.1, workers=6, tenants=3,
        )  # fmt: skip
        there = Hosts(server, PORT, probe, key, "0.0.0.0", MASTER_PORT, 1, 1, PATIENCE)
        version = fingerprint.own_version()
        bench = stack.enter_context(RemoteBench(there, served, plan, folder, version))
        yield Place(tuple(made), bench, generate.pid)
        generate.poll()


def _about(probe: RemoteProbe) -> Served | None:
    try:
        return probe.about()
    except ProbeFailed:
        return None


def at_the_beginning(monkeypatch: pytest.MonkeyPatch, happens: Callable[[], None]) -> None:
    """Have something happen as soon as the window has begun."""
    read, count = RemoteProbe.reading, 0

    def reading(self: RemoteProbe) -> RemoteReading:
        nonlocal count
        found = read(self)
        count += 1
        if count == 2:
            happens()
        return found

    monkeypatch.setattr(RemoteProbe, "reading", reading)


@pytest.mark.parametrize("load", [Closed(4), Open(60.0)], ids=str)
def test_generators_make_a_trial_together(place: Place, load: Load) -> None:
    row = place.measure(load).row
    assert (row.verdict, row.self_checks) == ("ok", "passed")
    assert row.requests
    assert row.server_cpu_us_per_request
    assert row.served
    assert row.sent
    assert row.served >= row.sent - row.requests  # what both have sent went to the one server


def test_a_link_that_is_cut_makes_its_trial_void(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The server's end: at the other one the route would go with it.
    link = ("ip", "link", "set", f"eth{OTHER}")
    at_the_beginning(monkeypatch, lambda: place.hosts[SERVER].call(*link, "down"))
    row = place.measure(Closed(4)).row
    assert row.verdict.startswith("void: the network between the load generator on ")
    assert "was cut" in row.verdict
    place.hosts[SERVER].call(*link, "up")
    monkeypatch.undo()
    assert wait_until(lambda: _reaches_the_server(place.hosts[OTHER]), PATIENCE)
    assert place.measure(Closed(4)).row.verdict == "ok"


def _reaches_the_server(host: Host) -> bool:
    # A link that is up again carries nothing until the kernel has noticed (linkwatch, up to a
    # second) and each end has found the other's hardware address anew.
    connects = f"import socket; socket.create_connection(('{address(SERVER, MASTER)}', {PORT}), 1)"
    tried = host.command(sys.executable, "-c", connects)
    return subprocess.run(tried, check=False, capture_output=True).returncode == 0


def test_a_link_that_becomes_slow_and_lossy_makes_its_trial_void(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    device = ("dev", f"eth{SERVER}", "root")
    slow = ("tbf", "rate", "16kbit", "burst", "1600", "limit", "6000")
    at_the_beginning(
        monkeypatch, lambda: place.hosts[OTHER].call("tc", "qdisc", "add", *device, *slow)
    )
    row = place.measure(Closed(6)).row
    place.hosts[OTHER].call("tc", "qdisc", "del", *device)
    assert row.verdict.startswith("void: the network between the load generator on ")
    assert any(words in row.verdict for words in ("became slow", "lost packets", "was cut"))
    monkeypatch.undo()
    assert place.measure(Closed(4)).row.verdict == "ok"


def test_another_key_opens_nothing(place: Place) -> None:
    probe = RemoteProbe(address(SERVER, MASTER), PROBE, b"\0" * 32)
    with pytest.raises(ProbeFailed, match="has another key"):
        probe.about()


def test_a_host_where_nothing_listens_is_named(place: Place) -> None:
    with pytest.raises(ProbeFailed, match=r"no probe answers at .*:9"):
        RemoteProbe(address(SERVER, MASTER), 9, b"").about()


def test_a_generator_that_is_killed_makes_its_trial_void_and_the_others_go_on(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    at_the_beginning(monkeypatch, lambda: _kill_children(place.generator))
    began = time.monotonic()
    row = place.measure(Closed(4)).row
    assert row.verdict == (
        f"void: the load generator on {socket.gethostname()} is gone, or cannot be reached"
    )
    assert json.loads(row.first_error or "")["reason"]
    assert time.monotonic() - began < PATIENCE
    monkeypatch.undo()
    assert place.measure(Closed(4)).row.verdict == "ok"


def _kill_children(pid: int) -> None:
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    assert children
    for child in children:
        os.kill(int(child), signal.SIGKILL)
