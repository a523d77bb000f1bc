"""Whatever ends a run, nothing of it stays."""

import fcntl
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from harness.errors import IsobenchError
from harness.host.cgroup import Cgroup
from harness.target import run_resources
from harness.target.run_resources import PREFIX, RunResources, remove_stale, scratch_base
from tests.harness.live import ROOT, until

OWNER = """
import subprocess, sys
from harness.target.run_resources import RunResources
with RunResources() as mine:
    if mine.processes.path is not None:
        process = subprocess.Popen(["sleep", "1000"], start_new_session=True)
        (mine.processes.path / "cgroup.procs").write_text(str(process.pid))
    print(mine.scratch, mine.processes.path or "", mine._cleanup.pid, flush=True)
    sys.stdin.read()
"""


@pytest.fixture(autouse=True)
def base(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    return tmp_path


@contextmanager
def owner() -> Iterator[tuple[subprocess.Popen[str], Path, int]]:
    """Have another process own things; yield it, its cgroup or scratch, and its cleanup process."""
    command = [sys.executable, "-c", OWNER]
    with subprocess.Popen(
        command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        scratch, group, cleanup = process.stdout.readline().rstrip("\n").split(" ")
        assert Path(scratch).is_dir()
        yield process, Path(group or scratch), int(cleanup)
        process.kill()


def test_at_a_good_end_all_of_it_is_gone(base: Path) -> None:
    with RunResources() as mine:
        assert mine.scratch.parent == base
        assert mine.scratch.stat().st_mode & 0o777 == 0o755
        (mine.scratch / "sites").mkdir()
        group = mine.processes.path
    assert list(base.iterdir()) == []
    assert group is None or not group.exists()


def test_at_an_error_too(base: Path) -> None:
    with pytest.raises(ZeroDivisionError), RunResources():
        _ = 1 / 0
    assert list(base.iterdir()) == []


def test_a_killed_owner_leaves_no_files_no_cgroup_and_no_processes(base: Path) -> None:
    with owner() as (process, group, _):
        process.send_signal(signal.SIGKILL)
        assert until(lambda: not list(base.iterdir()) and not group.exists())


def test_what_a_killed_owner_and_cleanup_process_leave_is_removed_by_the_next(base: Path) -> None:
    with owner() as (process, group, cleanup):
        os.kill(cleanup, signal.SIGKILL)
        process.kill()
        process.wait()
        (left,) = base.iterdir()
        if group != left:
            Cgroup(group).kill()
    with RunResources() as mine:
        assert not left.exists()
        assert not group.exists()
        assert list(base.iterdir()) == [mine.scratch]


def test_what_is_in_use_is_left_alone(base: Path) -> None:
    with RunResources() as mine:
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
    with RunResources() as mine:
        assert list(base.iterdir()) == [mine.scratch]
        assert (mine.scratch / "in-use").exists()


def test_tmpdir_comes_first_then_memory(base: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert scratch_base() == base
    monkeypatch.delenv("TMPDIR")
    monkeypatch.setattr(run_resources, "_can_execute_in", lambda _: True)
    assert scratch_base() == Path("/dev/shm")


def test_a_host_without_a_place_to_execute_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run_resources, "_can_execute_in", lambda _: False)
    with pytest.raises(IsobenchError, match="no temporary directory") as caught:
        scratch_base()
    assert "TMPDIR" in caught.value.hint


@pytest.mark.parametrize("chosen", ["", "not/there", "/proc/version", "/" + "x" * 300])
def test_a_tmpdir_that_cannot_be_used_is_passed_over(
    monkeypatch: pytest.MonkeyPatch, chosen: str
) -> None:
    monkeypatch.setenv("TMPDIR", chosen)
    assert scratch_base() in (Path("/dev/shm"), Path("/tmp"), Path("/var/tmp"))


@pytest.mark.parametrize(
    ("name", "form"),
    [
        ("plain", "{0}/"),
        ("plain", "./{0}"),
        ("plain", "link"),
        ("a b", "{0}/../{0}"),
        ("it's", "{0}"),
        ('quo"ted', "{0}"),
        ("ümlaut", "{0}"),
        ("-x $HOME", "{0}"),
    ],
)
def test_a_tmpdir_is_used_in_whatever_form_it_is_given(
    base: Path, monkeypatch: pytest.MonkeyPatch, name: str, form: str
) -> None:
    (base / name).mkdir()
    (base / "link").symlink_to(name)
    monkeypatch.chdir(base)
    monkeypatch.setenv("TMPDIR", form.format(name))
    with RunResources() as mine:
        assert mine.scratch.parent == base / name
        (mine.scratch / "file").touch()
    assert list((base / name).iterdir()) == []


@pytest.mark.parametrize("name", [b"a\nb", b"a\tb", b"a\x1bb", b"a\xffb", b"a\rb"])
def test_a_tmpdir_that_is_no_text_is_refused_before_anything_is_made(
    base: Path, monkeypatch: pytest.MonkeyPatch, name: bytes
) -> None:
    odd = base / os.fsdecode(name)
    odd.mkdir()
    monkeypatch.setenv("TMPDIR", os.fspath(odd))
    with pytest.raises(IsobenchError, match="TMPDIR names a directory that cannot") as caught:
        RunResources().__enter__()
    assert str(caught.value).isprintable()
    assert "TMPDIR" in caught.value.hint
    assert list(odd.iterdir()) == []


def test_a_tmpdir_with_an_endless_path_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TMPDIR", "/x" * 600)
    with pytest.raises(IsobenchError, match="longer than 1024 bytes"):
        scratch_base()


def test_a_copy_of_a_scratch_directory_is_left_alone(base: Path) -> None:
    with RunResources() as mine:
        shutil.copytree(mine.scratch, base / f"{PREFIX}copy")
    with RunResources():
        assert (base / f"{PREFIX}copy" / "in-use").exists()


def test_a_link_to_a_directory_is_not_followed(base: Path) -> None:
    elsewhere = base / "elsewhere"
    elsewhere.mkdir()
    status = elsewhere.stat()
    (elsewhere / "in-use").write_text(f"{status.st_dev} {status.st_ino}\n")
    (base / f"{PREFIX}link").symlink_to(elsewhere)
    remove_stale(base)
    assert (elsewhere / "in-use").exists()


def test_a_killed_cleanup_process_is_replaced(base: Path) -> None:
    with RunResources() as mine:
        mine._cleanup.kill()
        mine._cleanup.wait()
        another = mine.another_group(1)
        assert mine._cleanup.poll() is None
        (mine.scratch / "file").touch()
    assert list(base.iterdir()) == []
    assert another.path is None or not another.path.exists()


def test_a_cleanup_process_that_was_killed_at_last_leaves_nothing(base: Path) -> None:
    with RunResources() as mine:
        (mine.scratch / "file").touch()
        mine._cleanup.kill()
        group = mine.processes.path
    assert list(base.iterdir()) == []
    assert group is None or not group.exists()
