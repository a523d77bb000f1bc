"""Generators that are forked: as good as started ones, and gone with whoever started them."""

import os
import signal
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psutil
import pytest

from harness.host.polling import wait_until
from harness.trial.generators.forked_generators import ForkServer
from harness.trial.generators.generator import Generator, GeneratorFailed, LoadFailed, import_path


@pytest.fixture(scope="module")
def forks(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ForkServer]:
    with ForkServer(tmp_path_factory.mktemp("forks") / "log", import_path()) as server:
        yield server


def test_a_forked_generator_says_what_a_started_one_does(forks: ForkServer, tmp_path: Path) -> None:
    with Generator((), tmp_path / "log", forks=forks) as generator:
        assert set(generator.versions) == {"locust", "gevent"}
        with pytest.raises(LoadFailed):
            generator.trial({"trial": "a"}, lambda _event, _at: None)
        assert generator.wait()["pid"] in psutil.pids()
        pid = int(generator.wait()["pid"])
    assert not psutil.pid_exists(pid)


def test_two_are_told_apart(forks: ForkServer, tmp_path: Path) -> None:
    with (
        Generator((), tmp_path / "1", forks=forks) as first,
        Generator((), tmp_path / "2", forks=forks) as second,
    ):
        assert first.wait()["pid"] != second.wait()["pid"]
        os.kill(int(first.wait()["pid"]), signal.SIGKILL)
        with pytest.raises(GeneratorFailed, match="killed by SIGKILL"):
            first.trial({"trial": "a"}, lambda _event, _at: None)
        assert second.versions


def test_several_threads_learn_of_an_end(forks: ForkServer, tmp_path: Path) -> None:
    with Generator((), tmp_path / "log", forks=forks) as generator:
        os.kill(int(generator.wait()["pid"]), signal.SIGKILL)

        def fate(_: int) -> str:
            with pytest.raises(GeneratorFailed) as failed:
                generator.trial({"trial": "a"}, lambda _event, _at: None)
            return str(failed.value)

        with ThreadPoolExecutor(4) as threads:
            assert set(threads.map(fate, range(8))) == {
                "the load generator ended unexpectedly (killed by SIGKILL)"
            }


def test_none_outlives_the_server_that_forked_it(tmp_path: Path) -> None:
    with ForkServer(tmp_path / "log", import_path()) as server:
        generator = Generator((), tmp_path / "1", forks=server)
        with generator:
            pid = int(generator.wait()["pid"])
            os.kill(psutil.Process(pid).ppid(), signal.SIGKILL)
            assert wait_until(lambda: not psutil.pid_exists(pid), 10.0)
            with pytest.raises(GeneratorFailed):
                generator.trial({"trial": "a"}, lambda _event, _at: None)
        with pytest.raises(GeneratorFailed, match="did not start"):
            Generator((), tmp_path / "2", forks=server).__enter__()


def test_one_has_nothing_of_the_streams_of_another(forks: ForkServer, tmp_path: Path) -> None:
    # Else one would live on when its harness has left it, and its end would not be noticed.
    with (
        Generator((), tmp_path / "1", forks=forks) as first,
        Generator((), tmp_path / "2", forks=forks) as second,
    ):
        earlier, later = (_streams(int(one.wait()["pid"])) for one in (first, second))
        assert not earlier & later
        assert str(tmp_path / "2") in later


def _streams(pid: int) -> set[str]:
    links = [str(one.readlink()) for one in Path(f"/proc/{pid}/fd").iterdir()]
    return {link for link in links if not link.startswith("anon_inode")}
