"""A server as a process: started, asked, stopped; its failures name the reason."""

import os
import signal
import socket
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest

from harness.target import server as server_module
from harness.target.run_resources import RunResources
from harness.target.server import Server, ServerFailed, ServerUsage, Site, check, free_port
from harness.target.sites import settle
from harness.target.targets import Target, choose
from tests.harness.live import needs_root, until


@pytest.fixture(scope="module")
def resources(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunResources]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TMPDIR", str(tmp_path_factory.mktemp("base")))
        with RunResources() as resources:
            yield resources


@pytest.fixture(scope="module")
def site(resources: RunResources) -> Site:
    return settle(resources, 1, None)


@pytest.fixture(scope="module")
def dso() -> Target:
    (target,) = choose(["dso"])
    return target


def test_it_is_ready_and_reports_what_it_has_used(
    resources: RunResources, site: Site, dso: Target
) -> None:
    with Server(dso, site, resources.processes, ["--port", "0", "--workers", "1"]) as server:
        assert server.port > 0
        assert server.startup_s > 0
        usage = server.usage()
        assert usage.served == 0
        assert server.aborted() is None  # only real products are asked
        assert usage.cpu_s > 0
        pid = server.pid
    assert not Path(f"/proc/{pid}").exists()
    assert not resources.processes.pids()


def test_it_is_asked_again_until_it_has_counted(
    resources: RunResources, site: Site, dso: Target, monkeypatch: pytest.MonkeyPatch
) -> None:
    counts = iter([7, 8, 9, 10])
    server = Server(dso, site, resources.processes)
    monkeypatch.setattr(
        server, "usage", lambda: ServerUsage(next(counts), 0.0, 0.0, 0.0, processes_made=None)
    )
    assert server.served(9) == 9
    assert server.served() == 10


def test_a_port_where_somebody_listens_is_passed_over() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken, socket.socket() as lapsed:
        lapsed.bind(("127.0.0.1", 0))
        port = lapsed.getsockname()[1]
        lapsed.close()
        assert free_port([taken.getsockname()[1], port]) == port
        assert free_port([taken.getsockname()[1]]) == 0


def test_servers_that_start_together_get_different_ports(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("harness.target.server._given", {})
    ports = range(20_000, 20_100)
    with ThreadPoolExecutor(8) as threads:
        given = list(threads.map(lambda _: free_port(ports), range(40)))
    assert len(set(given)) == 40
    monkeypatch.setattr("harness.target.server._STARTED_S", 0.0)
    assert free_port(given) == given[0]


def test_one_that_cannot_start_says_why(resources: RunResources, site: Site, dso: Target) -> None:
    with (
        pytest.raises(ServerFailed, match="cannot listen on") as caught,
        Server(dso, site, resources.processes, ["--host", "203.0.113.1", "--port", "0"]),
    ):
        pass
    assert caught.value.hint


def test_one_that_dies_at_once_leaves_its_last_words(
    resources: RunResources, site: Site, dso: Target
) -> None:
    with (
        pytest.raises(
            ServerFailed, match=r"dso ended before it was ready \(exit status 2\): .*unrecognized"
        ) as caught,
        Server(dso, site, resources.processes, ["--no-such-option"]),
    ):
        pass
    assert caught.value.hint == "try it by hand: isobench serve dso"


def test_one_that_was_killed_is_missed(resources: RunResources, site: Site, dso: Target) -> None:
    with Server(dso, site, resources.processes, ["--port", "0", "--workers", "1"]) as server:
        os.kill(server.pid, signal.SIGKILL)
        # The kernel ends its namespace a moment later; until then it may still answer.
        until(lambda: not set(resources.processes.pids() or ()) - {server.pid})
        for _ in range(2):
            with pytest.raises(ServerFailed, match=r"the server dso .*\(killed by SIGKILL\)"):
                server.usage()
    assert not resources.processes.pids()


def test_where_clients_prove_who_they_are_each_start_has_a_key_of_its_own(site: Site) -> None:
    (suzuki,) = choose(["suzuki"])
    keys = set()
    for _ in range(2):
        assert str(site.credential_key) in site.arguments(suzuki)
        assert site.credential_key.stat().st_mode & 0o777 == 0o600
        keys.add(site.credential_key.read_text())
    assert len(keys) == 2


ODD = 'q" -DX=$(false)`false`\\\\ %s,:*\N{EURO SIGN}'
"""Parts of a path that some language or other takes for its own."""


@needs_root
@pytest.mark.parametrize("name", ["suexec", "sandbox"])
def test_no_part_of_a_path_becomes_code(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / ODD).mkdir()
    monkeypatch.setenv("TMPDIR", str(tmp_path / ODD))
    (target,) = choose([name])
    with RunResources() as resources:
        site = settle(resources, 1, None)
        with Server(target, site, resources.processes, ["--port", "0", "--workers", "1"]) as one:
            asked = urllib.request.Request(
                f"http://{one.host}:{one.port}/hello.py", headers={"Host": "t0001.localhost"}
            )
            with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(asked) as reply:
                assert reply.read().startswith(b"isobench tenant=t0001 uid=")


@needs_root
def test_a_check_passes_or_says_what_is_missing(site: Site) -> None:
    dso, ruid2, suzuki = choose(["dso", "ruid2", "suzuki"])
    for target in (dso, ruid2, suzuki):
        assert check(target, site) is None
    refusal = check(dso, replace(site, sites=site.sites / "missing"))
    assert refusal is not None
    assert "is not a directory of sites" in refusal.reason
    assert refusal.hint


def test_a_server_that_may_not_fork_says_which_limit_to_raise(dso: Target) -> None:
    said = "BlockingIOError: [Errno 11] Resource temporarily unavailable"
    assert "ulimit -u" in server_module._remedy(said, dso)
    assert server_module._remedy("", dso) == "try it by hand: isobench serve dso"
