"""The neighbour at work: found by what its script has open, and let go at the end."""

import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from harness.attack.errors import SceneFailed
from harness.attack.scene import neighbour
from harness.attack.scene.neighbour import NeighbourAtWork
from harness.attack.scene.secrets import Planted
from harness.attack.visitors.raw_http import Door
from harness.host import proc
from harness.host.proc import Cast
from workloads.tenants import Tenant


@pytest.fixture(name="listener")
def _listener() -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(10)
        yield listener


@pytest.fixture(name="at_work")
def _at_work(tmp_path: Path, listener: socket.socket) -> NeighbourAtWork:
    """The neighbour of a server whose one process is this one."""
    (tmp_path / "data").mkdir()
    (tmp_path / "config.secret").write_text("secret")
    tenant = Tenant("t0002", os.getuid(), os.getgid(), tmp_path)
    planted = Planted(tenant, tenant, {"request": "word", "listing": "name"})
    ourselves = proc.look(os.getpid())
    assert ourselves is not None
    cast = Cast(ourselves, (ourselves,), ())
    door = Door("127.0.0.1", listener.getsockname()[1])
    return NeighbourAtWork(door, planted, cast, lambda: [os.getpid()], 3.0)


def test_the_process_that_has_the_secret_open_is_the_victim(
    at_work: NeighbourAtWork, listener: socket.socket, tmp_path: Path
) -> None:
    with (tmp_path / "config.secret").open():
        assert at_work.start()["victim"] == os.getpid()
        with listener.accept()[0] as connection:
            received = connection.recv(4096)
            assert received.startswith(b"GET /qname.py ")
            assert b"X-Planted: word" in received
            connection.sendall(b"HTTP/1.1 200 OK\r\n\r\nover")
            connection.shutdown(socket.SHUT_WR)
            assert at_work.release().raw.endswith(b"over")
    assert (tmp_path / "data" / "go").exists()


def test_a_script_that_does_not_start_is_a_failed_scene(
    at_work: NeighbourAtWork, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(neighbour, "_COMING_S", 0.05)
    with pytest.raises(SceneFailed, match="did not start"):
        at_work.start()
    at_work.dismiss()


def test_who_never_came_to_work_is_let_go_without_a_word(
    at_work: NeighbourAtWork, tmp_path: Path
) -> None:
    assert at_work.release().raw == b""
    at_work.dismiss()
    assert not (tmp_path / "data" / "go").exists()
