"""The host's fingerprint."""

import json
import os
from pathlib import Path

import pytest

from harness.host import fingerprint
from harness.host.settings.view import View


@pytest.mark.parametrize(
    ("text", "cpus"),
    [("0", {0}), ("0-3", {0, 1, 2, 3}), ("0,4", {0, 4}), ("0-1,8-9,12", {0, 1, 8, 9, 12})],
)
def test_cpu_lists(text: str, cpus: set[int]) -> None:
    assert fingerprint.parse_cpu_list(text) == cpus


def test_a_processor_is_its_own_sibling() -> None:
    siblings = fingerprint.siblings()
    assert siblings.keys() == os.sched_getaffinity(0)
    assert all(cpu in shared for cpu, shared in siblings.items())


def test_the_fingerprint_fits_into_json() -> None:
    found = json.loads(json.dumps(fingerprint.fingerprint()))
    assert found["usable_processors"] == sorted(os.sched_getaffinity(0))
    assert found["kernel"] == os.uname().release
    assert all(value not in (None, "") for value in found.values())


def test_the_fingerprint_is_flat_but_for_the_mitigations() -> None:
    found = fingerprint.fingerprint()
    flat = {name: value for name, value in found.items() if name != "mitigations"}
    assert all(isinstance(value, str | int | float | list) for value in flat.values())
    assert isinstance(found["mitigations"], dict)


def test_the_fingerprint_has_what_rule_12_asks_for(tmp_path: Path) -> None:
    for name, text in {
        "proc/cpuinfo": "model name\t: Some CPU\nmicrocode\t: 0xf4\n\n" * 2,
        "proc/self/cgroup": "0::/\n",
        "proc/self/mountinfo": "31 24 0:27 / /sys/fs/cgroup rw - cgroup2 none rw\n",
        "proc/sys/kernel/randomize_va_space": "1\n",
        "sys/devices/system/cpu/cpu0/cpufreq/scaling_governor": "powersave\n",
        "sys/devices/system/cpu/cpufreq/boost": "1\n",
        "sys/devices/system/cpu/smt/control": "off\n",
        "sys/devices/system/cpu/vulnerabilities/meltdown": "Mitigation: PTI\n",
        "sys/devices/system/cpu/vulnerabilities/l1tf": "Not affected\n",
        "sys/devices/system/clocksource/clocksource0/current_clocksource": "hpet\n",
        "sys/fs/cgroup/cpu.max": "150000 100000\n",
        "sys/fs/cgroup/memory.max": "1073741824\n",
        "sys/kernel/mm/transparent_hugepage/enabled": "[always] madvise never\n",
    }.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    found = fingerprint.fingerprint(View(tmp_path, (0, 1)))
    assert (
        found.items()
        >= {
            "cpu": "Some CPU",
            "microcode": "0xf4",
            "governor": "powersave",
            "turbo": "on",
            "smt": "off",
            "clocksource": "hpet",
            "transparent_huge_pages": "always",
            "aslr": "1",
            "mitigations": {"meltdown": "Mitigation: PTI"},
            "cgroup_cpu_limit": "1.5 processors",
            "cgroup_memory_limit": "1024 MiB",
        }.items()
    )


@pytest.mark.parametrize(
    ("text", "model"),
    [
        ("model name\t: Some CPU\ncpu\t: another field\n", "Some CPU"),
        (
            "CPU implementer\t: 0x41\nCPU architecture: 8\nCPU variant\t: 0x3\n"
            "CPU part\t: 0xd0c\nCPU revision\t: 1\n",
            "ARM implementer 0x41, part 0xd0c, variant 0x3, revision 1",
        ),
        ("processor\t: 0\ncpu\t\t: POWER9, altivec supported\n", "POWER9, altivec supported"),
        ("hart\t: 0\nuarch\t: sifive,u74-mc\n", "sifive,u74-mc"),
    ],
)
def test_the_processor_is_named_by_what_its_kernel_says(
    tmp_path: Path, text: str, model: str
) -> None:
    (tmp_path / "proc").mkdir()
    (tmp_path / "proc/cpuinfo").write_text(text)
    assert fingerprint.fingerprint(View(tmp_path, (0,)))["cpu"] == model


def test_what_a_host_does_not_tell_is_said_to_be_so(tmp_path: Path) -> None:
    found = fingerprint.fingerprint(View(tmp_path, (0,)))
    told = ("microcode", "governor", "turbo", "smt", "clocksource", "aslr")
    assert {found[name] for name in told} == {"not reported"}
    assert found["cgroup_cpu_limit"] == found["cgroup_memory_limit"] == "none"


def test_versions_are_of_what_a_measurement_depends_on() -> None:
    assert {"locust", "gevent", "httptools"} <= fingerprint.versions().keys()
