"""A host of made-up files on which all is well, and what a check says of one that is not."""

from collections.abc import Callable, Mapping

from harness.host.settings import HARMFUL, WORTH_KNOWING
from harness.host.settings.view import Check, View

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


def assert_named(
    host: Made, check: Check, files: Mapping[str, str | None], about: str, advice: str
) -> None:
    """Assert that a check is in use, and names a bad setting once, with its remedy."""
    assert check in (*HARMFUL, *WORTH_KNOWING)
    (caution,) = check(host(files))
    assert about in caution.about
    assert advice in caution.advice
