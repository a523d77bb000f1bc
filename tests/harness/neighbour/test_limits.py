"""Limits from outside: what a process gets that is started under them, and who is moved where."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from harness.host.cgroup import NoCgroup
from harness.neighbour import limits
from harness.target.run_resources import RunResources
from tests.harness.live import needs_root


def ask(text: str) -> str:
    command = [*limits.launcher(), sys.executable, "-IS", "-c", text]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


def test_what_is_started_under_limits_has_them() -> None:
    said = ask(
        "import resource as r; print(*r.getrlimit(r.RLIMIT_FSIZE), *r.getrlimit(r.RLIMIT_AS))"
    )
    assert said == f"{8 << 20} {8 << 20} {512 << 20} {512 << 20}"


def test_memory_beyond_the_limit_is_refused() -> None:
    tried = "import mmap\ntry: mmap.mmap(-1, 640 << 20)\nexcept OSError: print('refused')"
    assert ask(tried) == "refused"


def test_a_lower_limit_of_the_host_stays() -> None:
    program = Path(limits.__file__).with_name("rlimits.py")
    script = "import resource as r; print(r.getrlimit(r.RLIMIT_NOFILE)[1])"
    inner = (
        f"{sys.executable} -IS {program} RLIMIT_NOFILE=100 -- {sys.executable} -IS -c '{script}'"
    )
    found = subprocess.run(
        ["sh", "-c", f"ulimit -n 50; {inner}"], check=True, capture_output=True, text=True
    )
    assert found.stdout.strip() == "50"


@dataclass
class Group:
    """A directory in place of a cgroup."""

    path: Path | None
    killed: list[bool] = field(default_factory=list)

    def cpu_s(self) -> float | None:
        return None

    def pids(self) -> list[int] | None:
        return []

    def kill(self) -> None:
        self.killed.append(True)


def test_a_cgroup_is_limited_where_its_controllers_are_delegated(tmp_path: Path) -> None:
    group = Group(tmp_path)
    assert not limits.delegated(NoCgroup())
    assert not limits.delegated(group)
    for name in limits.OF_CGROUP:
        (tmp_path / name).touch()
    assert limits.delegated(group)
    limits.impose(group)
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == limits.OF_CGROUP


@needs_root
def test_processes_of_the_uid_are_moved_and_others_come_back() -> None:
    uid = 46_123
    with RunResources() as resources:
        if resources.processes.path is None:
            pytest.skip("this host has no cgroups of version 2")
        own, others = resources.another_group(1), resources.processes
        with (
            subprocess.Popen(["cat"], stdin=subprocess.PIPE, user=uid) as noisy,
            subprocess.Popen(["cat"], stdin=subprocess.PIPE) as other,
        ):
            assert own.path is not None
            (own.path / "cgroup.procs").write_text(str(other.pid))
            sorting = limits.Sorting(uid, lambda: [noisy.pid, os.getpid()], own, others)
            sorting.sort()
            assert own.pids() == [noisy.pid]
            assert others.pids() == [other.pid]
            with sorting:
                pass
            assert noisy.wait(10) == -9  # whatever is left there ends with the series
            other.kill()
