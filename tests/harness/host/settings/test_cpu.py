"""The processors: seen where they harm, silent where they do not."""

from collections.abc import Mapping

import pytest

from harness.host.settings import cpu
from harness.host.settings.view import Check
from tests.harness.host.settings.made import CLOCK, CPU, Made, assert_named


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
            "connect the power supply",
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
            cpu.mitigations,
            {f"{CPU}/vulnerabilities/meltdown": "Mitigation: PTI"},
            "mitigates meltdown",
            "mitigations=off",
        ),
    ],
)
def test_a_bad_setting_is_named_with_its_remedy(
    host: Made, check: Check, files: Mapping[str, str | None], about: str, advice: str
) -> None:
    assert_named(host, check, files, about, advice)


def test_one_processor(host: Made) -> None:
    (caution,) = cpu.one_processor(host({}, cpus=(3,)))
    assert "one processor" in caution.about
    siblings = {f"{CPU}/cpu0/topology/thread_siblings_list": "0-1"}
    assert not list(cpu.one_core(host(siblings, cpus=(0,))))
