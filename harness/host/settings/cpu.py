"""Processors whose speed changes, or that others share: governor, turbo, SMT, hypervisor, quota."""

from __future__ import annotations

from collections.abc import Iterator

from harness.errors import Caution
from harness.host.settings.limits import cgroup_cpu_limit
from harness.host.settings.view import CPU, View

VULNERABILITIES = f"{CPU}/vulnerabilities"
_CLOCKSOURCES = "sys/devices/system/clocksource/clocksource0"
CURRENT_CLOCKSOURCE = f"{_CLOCKSOURCES}/current_clocksource"
# Those that clock_gettime(2) reads without a system call (arch/x86/entry/vdso, arm64's counter).
_QUICK_CLOCKS = ("tsc", "kvm-clock", "hyperv_clocksource_tsc_page", "arch_sys_counter")


def one_processor(view: View) -> Iterator[Caution]:
    """Server and generator need a processor each (rule 5)."""
    if len(view.cpus) < 2:
        yield Caution(
            "there is only one processor: server and load generator compete for it",
            "use a host with two or more; on this host, trust CPU per request rather than req/s",
        )


def one_core(view: View) -> Iterator[Caution]:
    """Two threads of one core are hardly two processors."""
    siblings = view.of_each_cpu("topology/thread_siblings_list")
    if len(view.cpus) > 1 and len(siblings) == len(view.cpus) and len(set(siblings.values())) == 1:
        yield Caution(
            f"the processors {', '.join(map(str, view.cpus))} are threads of one core (SMT): what "
            "the load generator does slows the server down",
            "use a host with two cores, or give isobench more of this one's: taskset -c 0-3 "
            "isobench ... (lscpu -e shows which processor is on which core)",
        )


def governor(view: View) -> Iterator[Caution]:
    """A clock that follows the load makes quick servers quicker."""
    others = set(view.of_each_cpu("cpufreq/scaling_governor").values())
    if others - {"performance"}:
        yield Caution(
            f"the CPU frequency governor is {', '.join(sorted(others))}: the clock changes with "
            "the load, so a server that pauses runs on a slower one",
            "as root: cpupower frequency-set -g performance",
        )


def turbo(view: View) -> Iterator[Caution]:
    """Boost depends on what was measured before."""
    for name, on, command in (
        (f"{CPU}/cpufreq/boost", "1", "echo 0"),
        (f"{CPU}/intel_pstate/no_turbo", "0", "echo 1"),
    ):
        if view.read(name) == on:
            yield Caution(
                "turbo is on: the clock depends on temperature and on what other cores do",
                f"as root: {command} > /{name}",
            )


def battery(view: View) -> Iterator[Caution]:
    """On battery, firmware slows the processor down as it sees fit."""
    for supply in view.entries("sys/class/power_supply") or ():
        if view.read(f"sys/class/power_supply/{supply}/status") == "Discharging":
            yield Caution(
                "the host runs on battery: its firmware may slow the processor down at any time",
                "connect the power supply",
            )
            return


def hypervisor(view: View) -> Iterator[Caution]:
    """Neighbours are the largest noise there is, and out of reach."""
    if " hypervisor" in (view.read("proc/cpuinfo") or ""):
        yield Caution(
            "this is a virtual machine: its neighbours can take time away",
            "compare ratios within one run, see steal_share in summary.csv, repeat at another hour",
        )


def steal(view: View) -> Iterator[Caution]:
    """Stolen time can be allowed for only if it is reported."""
    words = (view.read("proc/stat") or "").partition("\n")[0].split()
    if words and len(words) < 9:  # proc_stat(5): steal is the eighth number
        yield Caution(
            "the kernel does not report steal time: time that a hypervisor takes stays unseen",
            "use a kernel of 2.6.11 or later with CONFIG_PARAVIRT_TIME_ACCOUNTING; on this "
            "host, trust ratios only",
        )


def cpu_limit(view: View) -> Iterator[Caution]:
    """A quota stops everything in it for the rest of each period."""
    share = cgroup_cpu_limit(view)
    if share is not None and share < len(view.cpus):
        yield Caution(
            f"a cgroup limits isobench to {share:g} processors (cpu.max): when that is used up, "
            "server and generator stand still until the next period begins",
            "start the container without --cpus, or pin it instead: docker run --cpuset-cpus 0,1; "
            "in a systemd service: CPUQuota= (empty)",
        )


def clocksource(view: View) -> Iterator[Caution]:
    """Two readings for each request."""
    current = view.read(CURRENT_CLOCKSOURCE)
    if current is None or current in _QUICK_CLOCKS:
        return
    offered = (view.read(f"{_CLOCKSOURCES}/available_clocksource") or "").split()
    better = next((name for name in offered if name in _QUICK_CLOCKS), None)
    yield Caution(
        f"the clock source is {current}: reading the clock takes a system call or longer",
        f"as root: echo {better} > /{CURRENT_CLOCKSOURCE}"
        if better
        else "add tsc=reliable to the kernel's command line, if the processor's clock is",
    )


def mitigations(view: View) -> Iterator[Caution]:
    """They make system calls more expensive, and modes differ in how many they need."""
    active = [
        name
        for name in view.entries(VULNERABILITIES) or ()
        if (view.read(f"{VULNERABILITIES}/{name}") or "").startswith("Mitigation")
    ]
    if active:
        yield Caution(
            f"the kernel mitigates {', '.join(active)}: system calls and switches cost more, "
            "which weighs most on the modes with most of them",
            "leave it so, as hosts that serve untrusted code do; compare only with hosts that "
            "do the same (mitigations=off on the kernel's command line would end it)",
        )
