"""isobench as a command, for tests of what a user meets."""

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.harness.live import Isobench


@pytest.fixture(autouse=True, scope="session")
def _ctrl_c() -> Iterator[None]:
    """Let Ctrl-C reach commands, also where the tests were started by `&`, which has it ignored."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.fixture
def isobench(tmp_path: Path) -> Isobench:
    """The command, with a directory of its own for this test."""
    return Isobench(tmp_path)
