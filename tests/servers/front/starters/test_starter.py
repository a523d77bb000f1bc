"""A starter of workers: that it begins, hears of each end, waits for nobody, and ends."""

import errno
import os
import signal
import socket
import threading
from collections.abc import Iterator

import pytest

from servers.errors import Unavailable
from servers.front.starters.starter import Service, Starter, WorkerProcess
from servers.kernel.credentials import Identity
from tests.servers.live import PATIENCE

OWNER = Identity(os.getuid(), os.getgid(), ())


class Obeying(Service[WorkerProcess]):
    """Starts a worker whenever it is called, and says on the door what becomes of it."""

    def become(self) -> None:
        """Stay whoever this is."""

    def called(self, _descriptors: list[int]) -> None:
        with socket.socket() as link:
            process = self.start(link, os.fork, self.become, wait)
        self.take_in(WorkerProcess(OWNER, process))
        self.door.send(b"started %d" % process)

    def worker_ended(self, worker: WorkerProcess) -> None:
        self.door.send(b"ended %d" % worker.process)


def wait(_link: socket.socket) -> None:
    signal.pause()


@pytest.fixture
def starter() -> Iterator[Starter]:
    started = Starter(Obeying)
    started._door.settimeout(PATIENCE)
    yield started
    os.kill(started.process, signal.SIGKILL)
    os.waitpid(started.process, 0)
    started._door.close()


def called(starter: Starter) -> int:
    """Have it start a worker; return the worker's process id."""
    starter._door.send(b".")
    said, _, process = starter._door.recv(100).partition(b" ")
    assert said == b"started"
    return int(process)


def test_it_hears_of_the_death_of_each_worker(starter: Starter) -> None:
    first, second = called(starter), called(starter)
    for process in (second, first):
        os.kill(process, signal.SIGKILL)
        assert starter._door.recv(100) == b"ended %d" % process


def test_a_worker_that_fails_says_so_in_the_log(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Obeying, "become", fail)
    starter = Starter(Obeying)
    process = called(starter)
    assert starter._door.recv(100) == b"ended %d" % process
    os.kill(starter.process, signal.SIGKILL)
    os.waitpid(starter.process, 0)
    starter._door.close()
    assert "not allowed here" in capfd.readouterr().err


def test_its_end_is_told_from_that_of_others(starter: Starter) -> None:
    starter.check_lives(starter.process + 1)
    with pytest.raises(Unavailable, match="the starter of tenants' workers has ended"):
        starter.check_lives(starter.process)


def fail(*_: object) -> Service[WorkerProcess]:
    raise OSError(errno.EPERM, "not allowed here")


def test_starter_that_cannot_prepare_is_unavailable(capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(Unavailable, match="did not start"):
        Starter(fail)
    assert "not allowed here" in capfd.readouterr().err


def test_starter_says_what_it_cannot_have(capfd: pytest.CaptureFixture[str]) -> None:
    def lack(_: socket.socket) -> Service[WorkerProcess]:
        raise Unavailable("no address is free", "choose another")

    with pytest.raises(Unavailable, match="no address is free") as caught:
        Starter(lack)
    assert caught.value.hint == "choose another"
    assert capfd.readouterr().err == ""


def test_starter_ends_with_its_last_door(capfd: pytest.CaptureFixture[str]) -> None:
    starter = Starter(Obeying)
    starter._door.close()
    waited = threading.Timer(PATIENCE, lambda: os.kill(starter.process, signal.SIGKILL))
    waited.start()
    assert os.waitstatus_to_exitcode(os.waitpid(starter.process, 0)[1]) == 1
    waited.cancel()
    assert "the master has ended" in capfd.readouterr().err
