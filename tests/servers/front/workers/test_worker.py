"""One worker's connections: how they end, with what client."""

import os
import signal
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from servers import modes
from servers.front.workers.worker import Worker
from servers.kernel.credentials import Identity
from servers.mode import Limits, Setting
from servers.sites import Sites as ServedSites
from tests.servers.forked import in_child
from tests.servers.live import PATIENCE, Server, Sites, needs_root, read_reply, request

pytestmark = needs_root

MUCH = 4 * 1024 * 1024


@pytest.fixture(scope="module", params=["suid2", "ruid2_drop"])
def server(request: pytest.FixtureRequest, shared_sites: Sites) -> Iterator[Server]:
    """A server whose workers end with their first request, before their clients know."""
    with Server(request.param, shared_sites, "--client-seconds", "1") as running:
        yield running


@pytest.mark.parametrize("behind", [b"nonsense", bytes(MUCH), request(headers="") * 1000])
def test_answer_survives_what_the_client_sends_behind_its_request(
    server: Server, behind: bytes
) -> None:
    with server.connect() as connection, connection.makefile("rb") as stream:
        connection.sendall(request(headers="") + behind)
        reply = read_reply(stream)
        assert (reply.status, reply.headers["connection"]) == (200, "close")
        assert stream.read() == b""


def test_client_that_stays_is_not_waited_for_long(server: Server) -> None:
    with server.connect() as connection, connection.makefile("rb") as stream:
        connection.sendall(request(headers=""))
        assert read_reply(stream).status == 200
        assert server.get(tenant="t0002").status == 200


def test_client_that_goes_on_sending_is_not_listened_to_for_ever(server: Server) -> None:
    with server.connect() as connection:
        connection.sendall(request(headers=""))
        with pytest.raises(ConnectionError):
            connection.sendall(bytes(64 * MUCH))
    assert server.get().status == 200


@pytest.mark.parametrize("mode", ["suid2", "ruid2_drop"])
def test_what_uses_up_a_worker_is_a_request(sites: Sites, mode: str) -> None:
    with Server(mode, sites) as server:
        (worker,) = server.workers()
        with server.connect():
            pass
        assert server.exchange(b"nonsense\r\n\r\n").startswith(b"HTTP/1.1 400 ")
        with server.connect() as connection:
            connection.shutdown(socket.SHUT_WR)
            assert connection.recv(1) == b""
        assert server.workers() == [worker]
        assert server.get("/missing.py").status == 404
        server.wait_for(lambda: server.workers() not in ([], [worker]))


@pytest.mark.parametrize("mode", ["suid2", "ruid2_drop"])
def test_a_rehearsal_waits_for_no_client(
    monkeypatch: pytest.MonkeyPatch, shared_sites: Sites, tmp_path: Path, mode: str
) -> None:
    monkeypatch.setattr("servers.front.workers.worker.LINGER_SECONDS", 3600.0)
    www = Identity(shared_sites.www.uid, shared_sites.www.gid)
    limits = Limits(client=3600.0)
    setting = Setting(str(shared_sites.root), www, str(tmp_path), limits=limits)

    def rehearse() -> bool:
        with socket.create_server(("127.0.0.1", 0)) as listener:
            served = ServedSites(setting.sites)
            worker = Worker(os.getpid(), listener, modes.load(mode)(setting), served)
            signal.signal(signal.SIGALRM, signal.SIG_DFL)
            signal.alarm(int(PATIENCE))  # which ends this child, and so fails the test
            worker._serve_ourselves()
        return True

    assert in_child(rehearse)
