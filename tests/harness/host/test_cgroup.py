"""A cgroup of one's own: what is in it is measured and ended as one."""

import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from harness.host import cgroup
from harness.host.cgroup import Cgroup, NoCgroup
from tests.harness.live import until

BUSY = 'import os, sys; open(sys.argv[1], "w").write("0"); exec("while True: pass")'


@pytest.fixture
def group() -> Iterator[Cgroup]:
    made = cgroup.create("test")
    if not isinstance(made, Cgroup) or made.path is None:
        pytest.skip("this host lets us make no cgroup")
    yield made
    made.kill()
    made.path.rmdir()


def join(group: Cgroup) -> subprocess.Popen[bytes]:
    assert group.path is not None
    return subprocess.Popen(["python3", "-c", BUSY, str(group.path / "cgroup.procs")])


def test_it_counts_the_cpu_time_of_what_has_ended_too(group: Cgroup) -> None:
    assert group.cpu_s() == 0
    with join(group) as process:
        assert until(group.pids) == [process.pid]
        until(group.cpu_s)
        group.kill()
    assert process.returncode == -signal.SIGKILL
    assert group.pids() == []
    assert group.cpu_s()


def test_only_empty_cgroups_of_ended_harnesses_are_removed(group: Cgroup) -> None:
    parent = cgroup.own_directory()
    assert parent is not None
    ended = subprocess.Popen(["true"])
    ended.wait()
    stale = parent / f"{cgroup.PREFIX}{ended.pid}-gone"
    stale.mkdir()
    cgroup.remove_stale(parent)
    assert not stale.exists()
    assert group.path is not None
    assert group.path.exists()


def test_without_cgroups_there_is_a_stand_in(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cgroup, "own_directory", lambda: None)
    made = cgroup.create("test")
    assert isinstance(made, NoCgroup)
    assert (made.path, made.cpu_s(), made.pids()) == (None, None, None)
    made.kill()


def test_where_none_may_be_made_there_is_a_stand_in(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(cgroup, "own_directory", lambda: tmp_path / "missing")
    assert isinstance(cgroup.create("test"), NoCgroup)


def test_its_name_tells_whose_it_is(group: Cgroup) -> None:
    assert group.path is not None
    assert group.path.name == f"{cgroup.PREFIX}{os.getpid()}-test"
