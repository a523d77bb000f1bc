"""The host: its fingerprint for run.json, and the settings that harm a measurement."""

from __future__ import annotations

import os
import platform
import subprocess
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import cpuinfo
import psutil

from harness import cgroup
from harness.results import Caution

_LIBRARIES = ("locust", "gevent", "httptools", "numpy", "pandas", "scipy", "pyarrow", "psutil")
_CPU = Path("/sys/devices/system/cpu")


def fingerprint() -> dict[str, object]:
    """Return what decides how fast this host is; takes a second."""
    return {
        "cpu": cpuinfo.get_cpu_info().get("brand_raw", platform.processor() or "unknown"),
        "architecture": platform.machine(),
        "cores": psutil.cpu_count(logical=False) or 0,
        "processors": os.cpu_count() or 0,
        "usable_processors": sorted(os.sched_getaffinity(0)),
        "memory_gib": round(psutil.virtual_memory().total / 2**30, 1),
        "swap_gib": round(psutil.swap_memory().total / 2**30, 1),
        "system": _system(),
        "kernel": platform.release(),
        "hypervisor": "yes" if _has_hypervisor() else "no",
        "mitigations": _mitigations(),
        "governor": _read(_CPU / "cpu0/cpufreq/scaling_governor") or "not reported",
        "transparent_huge_pages": _selected("/sys/kernel/mm/transparent_hugepage/enabled"),
        "aslr": _read("/proc/sys/kernel/randomize_va_space") or "not reported",
        "cgroup_cpu_limit": _cgroup_limit(),
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
    """Return the git commit of a checkout that isobench runs from, marked where it was changed."""
    git = ["git", "-C", str(Path(__file__).parent)]
    try:
        tracked = subprocess.run(
            [*git, "ls-files", "--error-unmatch", __file__], capture_output=True, check=False
        )
        described = subprocess.run(
            [*git, "describe", "--always", "--dirty", "--abbrev=12"],
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
    shared = {}
    for cpu in os.sched_getaffinity(0):
        text = _read(_CPU / f"cpu{cpu}/topology/thread_siblings_list")
        shared[cpu] = parse_cpu_list(text) if text else frozenset([cpu])
    return shared


def parse_cpu_list(text: str) -> frozenset[int]:
    """Read a list such as `0-2,7` (the kernel's "list format")."""
    cpus: set[int] = set()
    for part in text.split(","):
        first, _, last = part.partition("-")
        cpus.update(range(int(first), int(last or first) + 1))
    return frozenset(cpus)


def harmful_settings() -> Iterator[Caution]:
    """Yield each setting of the host that makes measurements worse, with its remedy."""
    if len(os.sched_getaffinity(0)) < 2:
        yield Caution(
            "there is one processor: server and load generator compete for it",
            "use a host with two or more; here, believe CPU per request rather than req/s",
        )
    governor = _read(_CPU / "cpu0/cpufreq/scaling_governor")
    if governor not in (None, "performance"):
        yield Caution(
            f"the CPU frequency governor is {governor}: the clock changes with the load",
            "as root: cpupower frequency-set -g performance",
        )
    if _read(_CPU / "cpufreq/boost") == "1" or _read(_CPU / "intel_pstate/no_turbo") == "0":
        yield Caution(
            "turbo is on: the clock depends on temperature and on the other cores",
            f"as root: echo 0 > {_CPU}/cpufreq/boost (or 1 > {_CPU}/intel_pstate/no_turbo)",
        )
    if _has_hypervisor():
        yield Caution(
            "this is a virtual machine: its neighbours can take time away",
            "compare ratios within one run, look at the steal column, repeat at another hour",
        )
    busy = os.getloadavg()[0]
    if busy > 0.5:
        yield Caution(
            f"the host is busy: {busy:.1f} runnable tasks on average over the last minute",
            "stop other work while measuring (`top` shows what runs)",
        )
    if cgroup.own_directory() is None:
        yield Caution(
            "there is no cgroup v2: CPU time comes from rusage, in coarser steps",
            "mount it: mount -t cgroup2 none /sys/fs/cgroup",
        )
    if psutil.swap_memory().used > 0:
        yield Caution("memory has been swapped out", "as root: swapoff -a && swapon -a")


def _system() -> str:
    try:
        return platform.freedesktop_os_release()["PRETTY_NAME"]
    except (OSError, KeyError):
        return platform.platform()


def _has_hypervisor() -> bool:
    return " hypervisor" in Path("/proc/cpuinfo").read_text()


def _mitigations() -> dict[str, str]:
    folder = _CPU / "vulnerabilities"
    if not folder.is_dir():
        return {}
    states = {path.name: _read(path) or "unknown" for path in sorted(folder.iterdir())}
    return {name: state for name, state in states.items() if state != "Not affected"}


def _cgroup_limit() -> str:
    own = cgroup.own_directory()
    limit = _read(own / "cpu.max") if own else None
    return limit or "none"


def _selected(path: str) -> str:
    """Return the choice in brackets of a file such as `always [madvise] never`."""
    text = _read(path) or ""
    return text.partition("[")[2].partition("]")[0] or "not reported"


def _read(path: Path | str) -> str | None:
    try:
        return Path(path).read_text().strip()
    except OSError:
        return None
