"""Whatever ends a run, nothing of it stays."""

import fcntl
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from harness import belongings
from harness.belongings import PREFIX, Belongings, remove_stale, scratch_base
from harness.cgroup import Cgroup
from harness.errors import IsobenchError
from tests.harness.live import ROOT, until

OWNER = """
import subprocess, sys
from harness.belongings import Belongings
with Belongings() as mine:
    if mine.processes.path is not None:
        process = subprocess.Popen(["sleep", "1000"], start_new_session=True)
        (mine.processes.path / "cgroup.procs").write_text(str(process.pid))
    print(mine.scratch, mine.processes.path or "", mine._sweeper.pid, flush=True)
    sys.stdin.read()
"""


@pytest.fixture(autouse=True)
def base(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    return tmp_path


@contextmanager
def owner() -> Iterator[tuple[subprocess.Popen[str], Path, int]]:
    """Have another process own things; yield it, its cgroup or scratch, and its sweeper."""
    command = [sys.executable, "-c", OWNER]
    with subprocess.Popen(
        command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        scratch, group, sweeper = process.stdout.readline().rstrip("\n").split(" ")
        assert Path(scratch).is_dir()
        yield process, Path(group or scratch), int(sweeper)
        process.kill()


def test_at_a_good_end_all_of_it_is_gone(base: Path) -> None:
    with Belongings() as mine:
        assert mine.scratch.parent == base
        assert mine.scratch.stat().st_mode & 0o777 == 0o755
        (mine.scratch / "sites").mkdir()
        group = mine.processes.path
    assert list(base.iterdir()) == []
    assert group is None or not group.exists()


def test_at_an_error_too(base: Path) -> None:
    with pytest.raises(ZeroDivisionError), Belongings():
        _ = 1 / 0
    assert list(base.iterdir()) == []


def test_a_killed_owner_leaves_no_files_no_cgroup_and_no_processes(base: Path) -> None:
    with owner() as (process, group, _):
        process.send_signal(signal.SIGKILL)
        assert until(lambda: not list(base.iterdir()) and not group.exists())


def test_what_a_killed_owner_and_sweeper_leave_is_removed_by_the_next(base: Path) -> None:
    with owner() as (process, group, sweeper):
        os.kill(sweeper, signal.SIGKILL)
        process.kill()
        process.wait()
        (left,) = base.iterdir()
        if group != left:
            Cgroup(group).kill()
    with Belongings() as mine:
        assert not left.exists()
        assert not group.exists()
        assert list(base.iterdir()) == [mine.scratch]


def test_what_is_in_use_is_left_alone(base: Path) -> None:
    with Belongings() as mine:
        remove_stale(base)
        assert mine.scratch.exists()


def test_what_only_has_the_name_is_left_alone(base: Path) -> None:
    other = base / f"{PREFIX}results"
    other.mkdir()
    (base / f"{PREFIX}file").touch()
    (base / f"{PREFIX}link").symlink_to("/nowhere")
    remove_stale(base)
    assert len(list(base.iterdir())) == 3


def test_one_taken_for_a_leftover_while_it_was_made_is_made_again(
    base: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lock = fcntl.flock

    def be_late(descriptor: int, operation: int) -> None:
        monkeypatch.setattr(fcntl, "flock", lock)
        remove_stale(base)
        lock(descriptor, operation)

    monkeypatch.setattr(fcntl, "flock", be_late)
    with Belongings() as mine:
        assert list(base.iterdir()) == [mine.scratch]
        assert (mine.scratch / "in-use").exists()


def test_tmpdir_comes_first_then_memory(base: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert scratch_base() == base
    monkeypatch.delenv("TMPDIR")
    monkeypatch.setattr(belongings, "_can_execute_in", lambda _: True)
    assert scratch_base() == Path("/dev/shm")


def test_a_host_without_a_place_to_execute_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(belongings, "_can_execute_in", lambda _: False)
    with pytest.raises(IsobenchError, match="no temporary directory") as caught:
        scratch_base()
    assert "TMPDIR" in caught.value.hint
