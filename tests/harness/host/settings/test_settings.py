"""All checks of the host's settings together: none complains without reason, none ever raises."""

import os
from pathlib import Path

import pytest

from harness.host import settings
from harness.host.settings import (
    contention,
    limits,
)
from harness.host.settings.view import View
from tests.harness.host.settings.made import CPU, GOOD, NET, Made
from tests.harness.live import needs_root

# All that any check reads, what a good host does not have included.
EVERY_FILE = (
    *GOOD,
    f"{CPU}/cpufreq/boost",
    f"{NET}/netfilter/nf_conntrack_count",
    f"{NET}/netfilter/nf_conntrack_max",
    "sys/fs/cgroup/cpu/cpu.cfs_quota_us",
    "sys/fs/cgroup/cpu/cpu.cfs_period_us",
    "sys/fs/cgroup/ours/memory.max",
    "sys/kernel/tracing/events",
)


def test_on_a_good_host_nobody_complains(host: Made) -> None:
    view = host({})
    assert list(settings.harmful_settings(view)) == []
    assert list(settings.worth_knowing(view)) == []


def test_a_host_that_shows_nothing_raises_nothing(tmp_path: Path) -> None:
    found = [*settings.harmful_settings(View(tmp_path, (0, 1)))]
    assert [caution.about for caution in found] == [
        "there is no cgroup v2: CPU time comes from rusage, in coarser steps"
    ]
    assert list(settings.worth_knowing(View(tmp_path, (0, 1)))) == []


ODD = ("", "max", "-1", "0", "0 0", "12kB", "odd\ttext: 1 kB", "4:cpu", "1 2 - cgroup2 x", "\u0663")


@pytest.mark.parametrize("name", EVERY_FILE)
def test_odd_content_raises_nothing(host: Made, name: str) -> None:
    for content in ODD:
        look_at_all_of(host({name: content}))


@pytest.mark.parametrize("content", ODD)
def test_odd_content_everywhere_raises_nothing(host: Made, content: str) -> None:
    look_at_all_of(host(dict.fromkeys(EVERY_FILE, content)))


def test_bytes_that_are_no_text_raise_nothing(host: Made, tmp_path: Path) -> None:
    view = host(dict.fromkeys(EVERY_FILE, ""))
    for name in EVERY_FILE:
        (tmp_path / name).write_bytes(b"0::/\xff 1 \xfe - cgroup2 \xff\n")
    look_at_all_of(view)


@pytest.mark.parametrize("error", [PermissionError(13, "no"), OSError(95, "not switched on")])
def test_files_that_may_not_be_read_raise_nothing(
    host: Made, monkeypatch: pytest.MonkeyPatch, error: OSError
) -> None:
    view = host({})

    def refuse(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr(Path, "read_text", refuse)
    monkeypatch.setattr(Path, "read_bytes", refuse)
    monkeypatch.setattr(Path, "iterdir", refuse)
    monkeypatch.setattr(os, "listdir", refuse)  # psutil's way to the processes
    assert [caution.about for caution in settings.harmful_settings(view)] == [
        "there is no cgroup v2: CPU time comes from rusage, in coarser steps"
    ]
    assert list(settings.worth_knowing(view)) == []
    assert list(contention.watch_processes(0.01)) == []


@needs_root
def test_an_ordinary_user_can_look_at_this_host() -> None:
    os.seteuid(65534)
    try:
        look_at_all_of(View.of_this_host())
        list(contention.watch_processes(0.01))
    finally:
        os.seteuid(0)


def look_at_all_of(view: View) -> None:
    """Have every check look, and the fingerprint's two."""
    found = [*settings.harmful_settings(view), *settings.worth_knowing(view)]
    assert all(caution.about and caution.advice for caution in found)
    limits.cgroup_cpu_limit(view)
    limits.cgroup_memory_limit_mib(view)


def test_this_host_can_be_looked_at() -> None:
    for caution in (*settings.harmful_settings(), *settings.worth_knowing()):
        assert caution.about
        assert caution.advice
