"""isobench as a command, for tests of what a user meets."""

import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import reports
from harness import cli
from tests.harness.live import COMMANDS, Isobench, Say
from tests.harness.undrawn import make


@pytest.fixture(autouse=True, scope="session")
def _ctrl_c() -> Iterator[None]:
    """Let Ctrl-C reach commands, also where the tests were started by `&`, which has it ignored."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.fixture(autouse=True, scope="session")
def _commands(_ctrl_c: None) -> Iterator[None]:
    """End what forks commands with the tests."""
    with COMMANDS:
        yield


@pytest.fixture
def isobench(tmp_path: Path) -> Isobench:
    """The command, with a directory of its own for this test."""
    return Isobench(tmp_path)


@pytest.fixture
def undrawn(monkeypatch: pytest.MonkeyPatch) -> None:
    """Reports that are made in this process lack their figures."""
    monkeypatch.setattr(reports, "make", make)


@pytest.fixture
def say(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Say:
    """Calls the command in this process; returns its exit code and what it wrote to stderr."""

    def words(*arguments: str | Path) -> tuple[int, str]:
        monkeypatch.setattr(sys, "argv", ["isobench", *map(str, arguments)])
        return cli.main(), capsys.readouterr().err

    return words
