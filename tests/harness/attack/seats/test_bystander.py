"""A bystander notices what is done to it."""

import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from harness.attack.seats.bystander import Canary
from harness.host import proc
from tests.harness.live import needs_root, until

pytestmark = needs_root
UID = 46_900


@pytest.fixture(name="canary")
def _canary(tmp_path: Path) -> Iterator[Canary]:
    with Canary(tmp_path, UID) as canary:
        yield canary


def test_left_alone_it_has_nothing_to_tell(canary: Canary) -> None:
    assert list(canary.harm()) == []
    found = proc.look(canary.pid)
    assert found is not None
    assert found.uid == UID


@pytest.mark.parametrize("number", [signal.SIGSTOP, signal.SIGKILL])
def test_a_signal_is_noticed(canary: Canary, number: signal.Signals) -> None:
    os.kill(canary.pid, number)
    assert "process outside" in until(lambda: list(canary.harm()))[0]


def test_a_changed_file_is_noticed(canary: Canary, tmp_path: Path) -> None:
    time.sleep(0.01)  # a time of change of its own
    (tmp_path / "bystander").write_text("changed")
    assert "file outside" in next(canary.harm())


def test_it_ends_with_its_context(tmp_path: Path) -> None:
    with Canary(tmp_path, UID) as canary:
        pid = canary.pid
    assert proc.look(pid) is None
