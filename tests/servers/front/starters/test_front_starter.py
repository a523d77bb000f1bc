"""A starter that fronts ask for workers: what it starts and for whom, and what they learn."""

import os
import signal
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from servers.errors import Unavailable
from servers.front.starters.front_starter import (
    ChannelWorker,
    FrontService,
    FrontStarter,
    Gone,
    tell,
)
from servers.sites import NotFound
from tests.servers.live import PATIENCE

STARTED, REFUSED, ENDED = b"started", b"refused", b"ended"


class Echoing(FrontService):
    """Starts a worker for each site that a front names, which then says what it hears."""

    def heard(self, line: socket.socket, message: bytes) -> bool:
        self._line = line
        name, _, uid = message.partition(b" ")
        if not uid:
            return False
        try:
            site = self.site_of(name, int(uid))
        except (NotFound, PermissionError):
            line.send(REFUSED)
            return True
        worker = self.start_with_channel(
            site.owner, socket.SOCK_STREAM, os.fork, lambda: None, echo
        )
        worker.hand_to(line, STARTED + b"%d" % worker.process)
        return True

    def front_ended(self, line: socket.socket) -> None:
        for worker in self.workers.values():
            worker.end()

    def worker_ended(self, worker: ChannelWorker) -> None:
        self._line.send(ENDED)


def echo(channel: socket.socket) -> None:
    while said := channel.recv(100):
        channel.sendall(said)


def end(starter: FrontStarter) -> int:
    os.kill(starter.process, signal.SIGKILL)
    return os.waitpid(starter.process, 0)[1]


@pytest.fixture
def sites(tmp_path: Path) -> Path:
    (tmp_path / "t0001").mkdir()
    os.chown(tmp_path / "t0001", os.getuid() or 40001, os.getgid() or 40001)
    return tmp_path


@pytest.fixture
def line(sites: Path) -> Iterator[socket.socket]:
    starter = FrontStarter(lambda door: Echoing(door, sites))
    # To register closes the door, of which the master keeps a copy of its own.
    with starter._door.dup(), starter.register() as ours:
        ours.settimeout(PATIENCE)
        yield ours
    end(starter)


def asked(line: socket.socket, message: bytes) -> tuple[int, socket.socket]:
    """Ask for a worker; return its process and channel."""
    tell(line, message)
    said, (channel,), _, _ = socket.recv_fds(line, 100, 1)
    assert said.startswith(STARTED)
    end_of_it = socket.socket(fileno=channel)
    end_of_it.settimeout(PATIENCE)
    return int(said.removeprefix(STARTED)), end_of_it


def owner() -> bytes:
    return b"t0001 %d" % (os.getuid() or 40001)


def test_worker_has_its_end_of_the_channel(line: socket.socket) -> None:
    _, channel = asked(line, owner())
    with channel:
        channel.sendall(b"hi")
        assert channel.recv(100) == b"hi"


def test_front_learns_of_a_workers_death_through_its_channel(line: socket.socket) -> None:
    process, channel = asked(line, owner())
    with channel:
        os.kill(process, signal.SIGKILL)
        assert channel.recv(1) == b""
        assert line.recv(100) == ENDED


@pytest.mark.parametrize("message", [b"t0001 1", b"t0001 0", b"nobody 40001", b".. 0"])
def test_nobody_but_the_owner_of_a_site_has_a_worker(line: socket.socket, message: bytes) -> None:
    tell(line, message)
    assert line.recv(100) == REFUSED


def test_what_no_front_says_ends_the_line(line: socket.socket) -> None:
    tell(line, b"nonsense")
    assert line.recv(100) == b""


def test_without_a_starter_a_front_has_nothing(sites: Path) -> None:
    starter = FrontStarter(lambda door: Echoing(door, sites))
    starter.check_lives(starter.process + 1)
    end(starter)
    with pytest.raises(Unavailable, match="has ended"):
        starter.check_lives(starter.process)
    with pytest.raises(Gone):
        starter.register()
