"""The host's fingerprint for run.json; `settings` says which facts harm a measurement."""

from __future__ import annotations

import os
import platform
import subprocess
from collections.abc import Iterable
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import psutil

from harness.host.settings.cpu import CURRENT_CLOCKSOURCE, VULNERABILITIES
from harness.host.settings.limits import cgroup_cpu_limit, cgroup_memory_limit_mib
from harness.host.settings.view import CPU, View

_LIBRARIES = (
    *("locust", "gevent", "httptools", "hdrhistogram", "numpy", "pandas", "scipy"),
    *("pyarrow", "psutil"),
)
_UNREPORTED = "not reported"
_ARM = ("CPU implementer", "CPU part", "CPU variant", "CPU revision")
"""Numbers of the register MIDR: ARM's kernels know no name of a processor."""


def fingerprint(view: View | None = None) -> dict[str, object]:
    """Return the facts that decide how fast this host is.

    The members are texts and numbers (the mitigations: texts by name), so that two hosts can be
    compared member by member.
    """
    view = view or View.of_this_host()
    return {
        "cpu": _model(view),
        "microcode": _one(_of_each_processor(view, "microcode")),
        "architecture": platform.machine(),
        "cores": psutil.cpu_count(logical=False) or 0,
        "processors": os.cpu_count() or 0,
        "usable_processors": list(view.cpus),
        "memory_gib": round(psutil.virtual_memory().total / 2**30, 1),
        "swap_gib": round(psutil.swap_memory().total / 2**30, 1),
        "system": _system(),
        "kernel": platform.release(),
        "kernel_build": platform.version(),
        "hypervisor": "yes" if " hypervisor" in (view.read("proc/cpuinfo") or "") else "no",
        "mitigations": _mitigations(view),
        "governor": _one(view.of_each_cpu("cpufreq/scaling_governor").values()),
        "turbo": _turbo(view),
        "smt": view.read(f"{CPU}/smt/control") or _UNREPORTED,
        "clocksource": view.read(CURRENT_CLOCKSOURCE) or _UNREPORTED,
        "transparent_huge_pages": view.chosen("sys/kernel/mm/transparent_hugepage/enabled")
        or _UNREPORTED,
        "aslr": view.read("proc/sys/kernel/randomize_va_space") or _UNREPORTED,
        "cgroup_cpu_limit": _limit(cgroup_cpu_limit(view), "processors"),
        "cgroup_memory_limit": _limit(cgroup_memory_limit_mib(view), "MiB"),
        "python": f"{platform.python_implementation()} {platform.python_version()}",
    }


def versions() -> dict[str, str]:
    """Return the versions of the libraries that a measurement depends on."""
    return {name: version(name) for name in _LIBRARIES}


def own_version() -> str:
    """Return isobench's version."""
    try:
        return version("isobench")
    except PackageNotFoundError:
        return "not installed"


def own_commit() -> str | None:
    """Return the git commit of the checkout that isobench runs from, marked if it has changes."""
    git = ["git", "-C", str(Path(__file__).parent)]
    # Of this checkout, whatever repository the caller is at work in; and without a write to it.
    environment = {name: value for name, value in os.environ.items() if name[:4] != "GIT_"}
    environment["GIT_OPTIONAL_LOCKS"] = "0"
    try:
        tracked = subprocess.run(
            [*git, "ls-files", "--error-unmatch", __file__],
            env=environment,
            capture_output=True,
            check=False,
        )
        described = subprocess.run(
            [*git, "describe", "--always", "--dirty", "--abbrev=12"],
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
    except OSError:
        return None
    if tracked.returncode or described.returncode:
        return None
    return described.stdout.strip()


def siblings() -> dict[int, frozenset[int]]:
    """Map each processor to all those that share its core."""
    view = View.of_this_host()
    lists = view.of_each_cpu("topology/thread_siblings_list")
    return {
        cpu: parse_cpu_list(lists[cpu]) if lists.get(cpu) else frozenset([cpu]) for cpu in view.cpus
    }


def parse_cpu_list(text: str) -> frozenset[int]:
    """Read a list such as `0-2,7` (the kernel's "list format")."""
    cpus: set[int] = set()
    for part in text.split(","):
        first, _, last = part.partition("-")
        cpus.update(range(int(first), int(last or first) + 1))
    return frozenset(cpus)


def _system() -> str:
    try:
        return platform.freedesktop_os_release()["PRETTY_NAME"]
    except (OSError, KeyError):
        return platform.platform()


def _model(view: View) -> str:
    if names := _of_each_processor(view, "model name"):
        return _one(names)
    # What kernels of other architectures have in its place (arch/*/kernel/cpu*.c, show_cpuinfo).
    for field in ("cpu model", "cpu", "uarch"):  # MIPS, POWER, RISC-V
        if names := _of_each_processor(view, field):
            return _one(names)
    parts = [
        f"{field[4:]} {_one(names)}" for field in _ARM if (names := _of_each_processor(view, field))
    ]
    return f"ARM {', '.join(parts)}" if parts else platform.processor() or "unknown"


def _of_each_processor(view: View, field: str) -> list[str]:
    # All processors have the same, unless an update of the microcode has failed on some.
    lines = (view.read("proc/cpuinfo") or "").splitlines()
    pairs = (line.partition(":") for line in lines)
    return [value.strip() for name, _, value in pairs if name.strip() == field]


def _mitigations(view: View) -> dict[str, str]:
    names = view.entries(VULNERABILITIES) or ()
    states = {name: view.read(f"{VULNERABILITIES}/{name}") or "unknown" for name in names}
    return {name: state for name, state in states.items() if state != "Not affected"}


def _turbo(view: View) -> str:
    states = {"1": "on", "0": "off"}
    if (no_turbo := view.read(f"{CPU}/intel_pstate/no_turbo")) is not None:
        return {"1": "off", "0": "on"}.get(no_turbo, no_turbo)
    boost = view.read(f"{CPU}/cpufreq/boost")
    return _UNREPORTED if boost is None else states.get(boost, boost)


def _limit(value: float | None, unit: str) -> str:
    return "none" if value is None else f"{value:g} {unit}"


def _one(texts: Iterable[str]) -> str:
    """Return what all texts are, or all different ones."""
    return ", ".join(sorted(set(texts))) or _UNREPORTED
