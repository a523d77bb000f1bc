"""Limits from outside: what a process gets that is started under them, and who is moved where."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from harness.host import cgroup_v1
from harness.host.cgroup import Cgroup, NoCgroup
from harness.neighbour import limits
from harness.target.run_resources import RunResources
from tests.harness.live import PATIENCE, needs_root


def ask(text: str) -> str:
    command = [*limits.launcher(), sys.executable, "-IS", "-c", text]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


def test_what_is_started_under_limits_has_them() -> None:
    said = ask(
        "import resource as r; print(*r.getrlimit(r.RLIMIT_FSIZE), *r.getrlimit(r.RLIMIT_AS))"
    )
    assert said == f"{32 << 20} {32 << 20} {512 << 20} {512 << 20}"


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


def test_a_cgroup_is_limited_where_its_controllers_are_delegated(tmp_path: Path) -> None:
    others = Cgroup(tmp_path)
    group = Cgroup(tmp_path / "one")
    (tmp_path / "one").mkdir()
    assert limits.Limited.by_version_2(NoCgroup(), others) is None
    assert limits.Limited.by_version_2(group, others) is None
    for name in limits.OF_CGROUP:
        (tmp_path / "one" / name).touch()
    limited = limits.Limited.by_version_2(group, others)
    assert limited is not None
    limited.impose()
    found = {path.name: path.read_text() for path in (tmp_path / "one").iterdir()}
    assert found == limits.OF_CGROUP


@pytest.fixture
def resources() -> Iterator[RunResources]:
    with RunResources() as made:
        yield made


def version_2(resources: RunResources) -> limits.Limited:
    own, others = resources.another_group(1), resources.processes
    if own.path is None or others.path is None:
        pytest.skip("this host has no cgroups of version 2")
    return limits.Limited((own.path,), (others.path,), {})


def version_1(resources: RunResources) -> limits.Limited:
    made = resources.version_1_groups(tuple(limits.OF_VERSION_1))
    if made is None:
        pytest.skip("this host has no controllers of version 1")
    return limits.Limited.by_version_1(made)


@needs_root
@pytest.mark.parametrize("make", [version_1, version_2])
def test_processes_of_the_uid_are_moved_and_others_come_back(
    make: Callable[[RunResources], limits.Limited], resources: RunResources
) -> None:
    uid = 46_123
    limited = make(resources)
    with (
        subprocess.Popen(["cat"], stdin=subprocess.PIPE, user=uid) as noisy,
        subprocess.Popen(["cat"], stdin=subprocess.PIPE) as other,
    ):
        limited.take(other.pid)
        sorting = limits.Sorting(uid, lambda: [noisy.pid, os.getpid()], limited)
        sorting.sort()
        for inside, outside in zip(limited.inside, limited.outside, strict=True):
            assert (inside / "cgroup.procs").read_text() == f"{noisy.pid}\n"
            assert f"{other.pid}\n" in (outside / "cgroup.procs").read_text()
        with sorting:
            pass
        assert noisy.wait(PATIENCE) == -9  # whatever is left there ends with the series
        other.kill()


@needs_root
def test_version_1_limits_processes_and_memory(resources: RunResources) -> None:
    limited = version_1(resources)
    limited.impose()
    script = (
        "import os, sys; sys.stdin.readline()\n"
        "for n in range(40):\n"
        "    try: os.fork() or os._exit(sys.stdin.read() != '')\n"
        "    except OSError: print(n, flush=True); sys.stdin.read(); break\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        limited.take(process.pid)
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
        assert process.stdout is not None
        assert int(process.stdout.readline()) < 24
        limited.kill()
    assert process.returncode == -9


@needs_root
def test_directories_of_version_1_are_gone_with_the_run() -> None:
    with RunResources() as resources:
        made = version_1(resources).inside
        assert all(path.is_dir() for path in made)
    assert not any(path.exists() for path in made)


def test_controllers_are_found_by_their_mounts(tmp_path: Path) -> None:
    (tmp_path / "proc/self").mkdir(parents=True)
    (tmp_path / "proc/self/cgroup").write_text("3:cpu,cpuacct:/a\n2:pids:/\n1:name=x:/\n0::/b\n")
    (tmp_path / "proc/self/mountinfo").write_text(
        "30 25 0:26 / /sys/cpu rw - cgroup cgroup rw,cpu,cpuacct\n"
        "31 25 0:27 / /sys/pids rw - cgroup cgroup rw,pids\n"
        "32 25 0:28 / /sys/two rw - cgroup2 none rw\n"
    )
    assert cgroup_v1.own_directories(tmp_path) == {
        "cpu": tmp_path / "sys/cpu/a",
        "cpuacct": tmp_path / "sys/cpu/a",
        "pids": tmp_path / "sys/pids",
    }
    assert cgroup_v1.create("x", ("cpu", "pids"), tmp_path) is None


def test_a_worker_of_groundhog_fits_under_the_limits() -> None:
    from servers.modes.groundhog.resting_worker import POOL_BYTES

    assert limits.OF_PROCESS["RLIMIT_FSIZE"] > POOL_BYTES
