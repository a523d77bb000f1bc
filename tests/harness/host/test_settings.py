"""Each harmful setting, on a host of made-up files: seen where it is, silent where it is not."""

import os
import resource
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from harness.host import settings
from harness.host.settings import (
    HARMFUL,
    WORTH_KNOWING,
    contention,
    cpu,
    limits,
    memory,
    network,
    observation,
)
from harness.host.settings.view import Check, View
from tests.harness.live import needs_root

Made = Callable[..., View]

CPU = "sys/devices/system/cpu"
CLOCK = "sys/devices/system/clocksource/clocksource0"
NET = "proc/sys/net"

GOOD: Mapping[str, str] = {
    f"{CPU}/cpu0/cpufreq/scaling_governor": "performance",
    f"{CPU}/cpu1/cpufreq/scaling_governor": "performance",
    f"{CPU}/cpu0/topology/thread_siblings_list": "0",
    f"{CPU}/cpu1/topology/thread_siblings_list": "1",
    f"{CPU}/cpufreq/boost": "0",
    f"{CPU}/intel_pstate/no_turbo": "1",
    f"{CPU}/vulnerabilities/meltdown": "Not affected",
    "sys/class/power_supply/BAT0/status": "Full",
    f"{CLOCK}/current_clocksource": "tsc",
    f"{CLOCK}/available_clocksource": "tsc hpet acpi_pm",
    "sys/kernel/mm/transparent_hugepage/enabled": "always [madvise] never",
    "sys/fs/cgroup/cgroup.controllers": "cpu memory",
    "sys/fs/cgroup/ours/cgroup.controllers": "cpu memory",
    "sys/fs/cgroup/ours/cpu.max": "max 100000",
    "proc/self/cgroup": "0::/ours",
    "proc/self/mountinfo": "31 24 0:27 / /sys/fs/cgroup rw,nosuid - cgroup2 cgroup2 rw",
    "proc/cpuinfo": "flags\t\t: fpu vme sse2",
    "proc/stat": "cpu  10 0 10 100 0 0 0 0 0 0\ncpu0 5 0 5 50 0 0 0 0 0 0",
    "proc/meminfo": "MemTotal:  8000 kB\nSwapTotal:  4096 kB\nSwapFree:  4096 kB",
    "proc/loadavg": "0.10 0.50 0.90 1/200 4711",
    "proc/pressure/cpu": "some avg10=0.00",
    "proc/sys/kernel/randomize_va_space": "2",
    "proc/sys/kernel/perf_event_paranoid": "1",
    "proc/sys/kernel/osrelease": "6.1.0-9-amd64",
    f"{NET}/ipv4/ip_local_port_range": "32768\t60999",
    f"{NET}/ipv4/tcp_tw_reuse": "2",
}


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


@pytest.fixture
def host(tmp_path: Path) -> Made:
    """Makes a host on which all is well but for some files; None for one that is missing."""

    def made(files: Mapping[str, str | None], cpus: tuple[int, ...] = (0, 1)) -> View:
        for name, text in {**GOOD, **files}.items():
            if text is not None:
                (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
                (tmp_path / name).write_text(text + "\n")
        return View(tmp_path, cpus)

    return made


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


@pytest.mark.parametrize(
    ("check", "files", "about", "advice"),
    [
        (
            cpu.one_core,
            {f"{CPU}/cpu{cpu}/topology/thread_siblings_list": "0-1" for cpu in (0, 1)},
            "0, 1 are threads of one core",
            "taskset",
        ),
        (
            cpu.governor,
            {f"{CPU}/cpu1/cpufreq/scaling_governor": "powersave"},
            "governor is performance, powersave",
            "cpupower frequency-set -g performance",
        ),
        (
            cpu.turbo,
            {f"{CPU}/cpufreq/boost": "1"},
            "turbo is on",
            "echo 0 > /sys/devices/system/cpu/cpufreq/boost",
        ),
        (
            cpu.turbo,
            {f"{CPU}/intel_pstate/no_turbo": "0"},
            "turbo is on",
            "echo 1 > /sys/devices/system/cpu/intel_pstate/no_turbo",
        ),
        (
            cpu.battery,
            {"sys/class/power_supply/BAT0/status": "Discharging"},
            "on battery",
            "plug it in",
        ),
        (
            cpu.hypervisor,
            {"proc/cpuinfo": "flags\t\t: fpu hypervisor sse2"},
            "virtual machine",
            "ratios",
        ),
        (
            cpu.steal,
            {"proc/stat": "cpu  10 0 10 100 0 0 0"},
            "does not report steal",
            "ratios only",
        ),
        (
            cpu.cpu_limit,
            {"sys/fs/cgroup/ours/cpu.max": "150000 100000"},
            "to 1.5 processors",
            "--cpuset-cpus",
        ),
        (
            cpu.clocksource,
            {f"{CLOCK}/current_clocksource": "hpet"},
            "clock source is hpet",
            "echo tsc > /sys/devices/system/clocksource/clocksource0/current_clocksource",
        ),
        (
            cpu.clocksource,
            {f"{CLOCK}/current_clocksource": "xen", f"{CLOCK}/available_clocksource": "xen"},
            "clock source is xen",
            "tsc=reliable",
        ),
        (
            memory.swap,
            {"proc/meminfo": "SwapTotal:  4096 kB\nSwapFree:  1024 kB"},
            "3 MiB of memory is swapped out",
            "swapoff -a && swapon -a",
        ),
        (
            memory.huge_pages,
            {"sys/kernel/mm/transparent_hugepage/enabled": "[always] madvise never"},
            "always on",
            "echo madvise > /sys/kernel/mm/transparent_hugepage/enabled",
        ),
        (
            memory.aslr,
            {"proc/sys/kernel/randomize_va_space": "0"},
            "not fully randomised",
            "sysctl -w kernel.randomize_va_space=2",
        ),
        (
            contention.load,
            {"proc/loadavg": "3.20 0.50 0.90 1/200 4711"},
            "3.2 runnable tasks",
            "stop other work",
        ),
        (
            observation.control_groups,
            {"proc/self/cgroup": "1:name=systemd:/"},
            "no cgroup v2",
            "mount -t cgroup2",
        ),
        (
            observation.pressure,
            {"proc/pressure/cpu": None},
            "does not report pressure",
            "psi=1",
        ),
        (
            network.ports,
            {f"{NET}/ipv4/ip_local_port_range": "40000\t40999"},
            "1000 ports",
            "sysctl -w net.ipv4.ip_local_port_range='32768 60999'",
        ),
        (
            network.reused_ports,
            {f"{NET}/ipv4/tcp_tw_reuse": "0"},
            "tcp_tw_reuse is 0",
            "sysctl -w net.ipv4.tcp_tw_reuse=2",
        ),
        (
            network.connection_tracking,
            {
                f"{NET}/netfilter/nf_conntrack_count": "17",
                f"{NET}/netfilter/nf_conntrack_max": "65536",
            },
            "17 of 65536",
            "CT --notrack",
        ),
        (
            cpu.mitigations,
            {f"{CPU}/vulnerabilities/meltdown": "Mitigation: PTI"},
            "mitigates meltdown",
            "mitigations=off",
        ),
        (
            observation.cpu_controller,
            {"sys/fs/cgroup/ours/cgroup.controllers": "memory"},
            "no cpu controller",
            "echo +cpu",
        ),
        (
            observation.profiling,
            {"sys/kernel/tracing/README": None, "sys/kernel/tracing/.there": ""},
            "tracefs is not mounted",
            "mount -t tracefs",
        ),
        (
            observation.old_kernel,
            {"proc/sys/kernel/osrelease": "5.10.0-21-amd64"},
            "Linux 5.10.0-21-amd64 has no cgroup.kill",
            "5.14",
        ),
    ],
)
def test_a_bad_setting_is_named_with_its_remedy(
    host: Made, check: Check, files: Mapping[str, str | None], about: str, advice: str
) -> None:
    assert check in (*HARMFUL, *WORTH_KNOWING)
    (caution,) = check(host(files))
    assert about in caution.about
    assert advice in caution.advice


def test_one_processor(host: Made) -> None:
    (caution,) = cpu.one_processor(host({}, cpus=(3,)))
    assert "one processor" in caution.about
    siblings = {f"{CPU}/cpu0/topology/thread_siblings_list": "0-1"}
    assert not list(cpu.one_core(host(siblings, cpus=(0,))))


def test_few_open_files(host: Made) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (256, hard))
    try:
        (caution,) = network.open_files(host({}))
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert "256 files" in caution.about
    assert caution.advice == "ulimit -n 16384"


def test_a_cgroup_that_is_not_ours(host: Made, monkeypatch: pytest.MonkeyPatch) -> None:
    view = host({})
    monkeypatch.setattr(os, "access", lambda *_: False)
    (caution,) = observation.control_groups(view)
    assert "cannot create a cgroup" in caution.about
    assert "Delegate=yes" in caution.advice


def test_perf_is_for_root_or_a_lower_level(host: Made, monkeypatch: pytest.MonkeyPatch) -> None:
    view = host({"proc/sys/kernel/perf_event_paranoid": "3"})
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    (caution,) = observation.profiling(view)
    assert "perf_event_paranoid is 3" in caution.about
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    assert list(observation.profiling(view)) == []


def test_the_least_limit_of_all_cgroups_around_counts(host: Made) -> None:
    view = host(
        {"sys/fs/cgroup/ours/cpu.max": "300000 100000", "sys/fs/cgroup/cpu.max": "50000 100000"}
    )
    assert limits.cgroup_cpu_limit(view) == 0.5


def test_limits_of_version_1_count_too(host: Made) -> None:
    view = host(
        {
            "proc/self/cgroup": "4:cpu,cpuacct:/docker/4711\n0::/ours",
            "sys/fs/cgroup/cpu/cpu.cfs_quota_us": "150000",
            "sys/fs/cgroup/cpu/cpu.cfs_period_us": "100000",
        }
    )
    assert limits.cgroup_cpu_limit(view) == 1.5


def test_no_limit_is_none(host: Made) -> None:
    assert limits.cgroup_cpu_limit(host({})) is None
    assert limits.cgroup_memory_limit_mib(host({})) is None


def test_a_memory_limit(host: Made) -> None:
    view = host({"sys/fs/cgroup/ours/memory.max": str(512 * 2**20)})
    assert limits.cgroup_memory_limit_mib(view) == 512


def test_busy_processes_are_named_the_busiest_first() -> None:
    before = {1: ("init", 9.0), 7: ("make", 1.0), 8: ("cc", 2.0)}
    after = {1: ("init", 9.0), 7: ("make", 1.1), 8: ("cc", 2.9), 9: ("new", 5.0)}
    (caution,) = contention.busy_processes(before, after, 1.0)
    assert "cc (8) 90%, make (7) 10%" in caution.about
    assert "ps -fp 8,7" in caution.advice
    assert not list(contention.busy_processes(before, before, 1.0))


def test_watching_real_processes_takes_a_moment_and_no_more() -> None:
    for caution in contention.watch_processes(0.01):
        assert caution.about
        assert caution.advice


def test_this_host_can_be_looked_at() -> None:
    for caution in (*settings.harmful_settings(), *settings.worth_knowing()):
        assert caution.about
        assert caution.advice
