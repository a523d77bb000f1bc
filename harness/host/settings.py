"""Host settings that harm measurements: the current value, why it harms, and the remedy.

Each check is a function of a `View`, so that a test can give it a directory of made-up files. A
check that does not find what it looks for is silent: the setting does not exist there, may not be
read, or holds what this module does not understand. None of them raises.

There are two lists. What is in `HARMFUL` weakens the results, is written to run.json and shown in
the report. What is in `WORTH_KNOWING` does not, or cannot be changed; only the doctor says it.
"""

from __future__ import annotations

import os
import re
import resource
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import psutil

from harness.errors import Caution
from harness.host import cgroup

CPU = "sys/devices/system/cpu"
VULNERABILITIES = f"{CPU}/vulnerabilities"
_SYSCTL = "proc/sys"
_CLOCKSOURCES = "sys/devices/system/clocksource/clocksource0"
CURRENT_CLOCKSOURCE = f"{_CLOCKSOURCES}/current_clocksource"
# Those that clock_gettime(2) reads without a system call (arch/x86/entry/vdso, arm64's counter).
_QUICK_CLOCKS = ("tsc", "kvm-clock", "hyperv_clocksource_tsc_page", "arch_sys_counter")
_BUSY_LOAD = 0.5
_BUSY_SHARE = 0.05
_LEAST_FILES = 1024
_LEAST_PORTS = 20_000
_CGROUP_KILL = (5, 14)  # cgroup-v2.rst: since when cgroup.kill exists
_RING_WITHOUT_DESCRIPTOR = (5, 18)  # io_uring_register(2), IORING_REGISTER_RING_FDS


@dataclass(frozen=True)
class View:
    """A host as its files show it, below `root`; `cpus` are the processors that may be used."""

    root: Path
    cpus: tuple[int, ...]

    @classmethod
    def of_this_host(cls) -> View:
        """Return the real one."""
        return cls(Path("/"), tuple(sorted(os.sched_getaffinity(0))))

    def read(self, name: str) -> str | None:
        """Return what a file holds, None where it does not exist or says nothing."""
        try:
            return (self.root / name).read_text(errors="replace").strip()
        except OSError:
            return None

    def number(self, name: str) -> int | None:
        """Return the whole number that a file holds, None where it holds no such thing."""
        return _whole(self.read(name))

    def entries(self, name: str) -> tuple[str, ...] | None:
        """Return the names in a directory, sorted; None where it is missing or not ours to list."""
        try:
            return tuple(sorted(path.name for path in (self.root / name).iterdir()))
        except OSError:
            return None

    def of_each_cpu(self, name: str) -> dict[int, str]:
        """Return what the usable processors' files of this name hold, where they exist."""
        found = {cpu: self.read(f"{CPU}/cpu{cpu}/{name}") for cpu in self.cpus}
        return {cpu: text for cpu, text in found.items() if text is not None}

    def chosen(self, name: str) -> str | None:
        """Return the choice in brackets of a file such as `always [madvise] never`."""
        match = re.search(r"\[(.+?)\]", self.read(name) or "")
        return match[1] if match else None


Look = Mapping[int, tuple[str, float]]
Check = Callable[[View], Iterator[Caution]]


def harmful_settings(view: View | None = None) -> Iterator[Caution]:
    """Yield each setting that weakens the results, with its remedy."""
    view = view or View.of_this_host()
    for check in HARMFUL:
        yield from check(view)


def worth_knowing(view: View | None = None) -> Iterator[Caution]:
    """Yield what else a careful reader wants to know about the host."""
    view = view or View.of_this_host()
    for check in WORTH_KNOWING:
        yield from check(view)


# Processors


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
                "plug it in",
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


# Memory


def swap(view: View) -> Iterator[Caution]:
    """A page on disk costs more than a request."""
    memory = _fields(view.read("proc/meminfo") or "")
    used = memory.get("SwapTotal", 0) - memory.get("SwapFree", 0)
    if used > 0:
        yield Caution(
            f"{used / 1024:.0f} MiB of memory is swapped out: processes that use it wait for a "
            f"disk",
            "as root: swapoff -a && swapon -a, while there is memory enough (free -m)",
        )


def huge_pages(view: View) -> Iterator[Caution]:
    """Always-on huge pages make a fork's copies 512 times as large, now and then."""
    name = "sys/kernel/mm/transparent_hugepage/enabled"
    if view.chosen(name) == "always":
        yield Caution(
            "transparent huge pages are always on: a kernel thread merges pages in the background, "
            "and which of a server's are merged differs from start to start",
            f"as root: echo madvise > /{name}",
        )


def aslr(view: View) -> Iterator[Caution]:
    """With one layout for all blocks, a lucky one looks like a quick mode (rule 10)."""
    name = f"{_SYSCTL}/kernel/randomize_va_space"
    value = view.read(name)
    if value is not None and value != "2":
        yield Caution(
            f"addresses are not fully randomised (randomize_va_space is {value}): every block has "
            "the same memory layout, whose effect then looks like a property of the target",
            "as root: sysctl -w kernel.randomize_va_space=2",
        )


# Others on the host


def load(view: View) -> Iterator[Caution]:
    """Other processes share the processor with the server."""
    match = re.match(r"\d+\.\d+", view.read("proc/loadavg") or "")
    if match and float(match[0]) > _BUSY_LOAD:
        yield Caution(
            f"the host is busy: {float(match[0]):.1f} runnable tasks on average over the last "
            "minute",
            "stop other work while measuring (isobench doctor names it, `top` shows it)",
        )


def busy_processes(before: Look, after: Look, seconds: float) -> Iterator[Caution]:
    """Yield the processes that used more than 5% of a processor between two looks. Pure.

    A look maps a process id to the process's name and its CPU seconds so far.
    """
    shares = {
        pid: (name, (used - before[pid][1]) / seconds)
        for pid, (name, used) in after.items()
        if pid in before
    }
    busy = {pid: found for pid, found in shares.items() if found[1] > _BUSY_SHARE}
    if busy:
        most = sorted(busy.items(), key=lambda item: -item[1][1])[:5]
        names = ", ".join(f"{name} ({pid}) {share:.0%}" for pid, (name, share) in most)
        yield Caution(
            f"other processes use the processors: {names}",
            "stop them, or wait until they end; to see what they are: ps -fp "
            f"{','.join(str(pid) for pid, _ in most)}",
        )


def watch_processes(seconds: float = 0.3) -> Iterator[Caution]:
    """Look at all processes but this one twice; yield what `busy_processes` finds."""
    before = _look()
    time.sleep(seconds)
    yield from busy_processes(before, _look(), seconds)


def _look() -> Look:
    used = {}
    try:
        for process in psutil.process_iter(["name", "cpu_times"]):
            times = process.info["cpu_times"]
            if process.pid != os.getpid() and times is not None:
                used[process.pid] = (str(process.info["name"]), times.user + times.system)
    except (OSError, psutil.Error):  # a host that hides /proc: whom it shows is all there is
        return used
    return used


# Sight: what isobench needs in order to see


def control_groups(view: View) -> Iterator[Caution]:
    """The exact CPU time of a server's processes, and a way to kill them (rule 6)."""
    own = cgroup.own_directory(view.root)
    if own is None:
        yield Caution(
            "there is no cgroup v2: CPU time comes from rusage, in coarser steps",
            "as root: mount -t cgroup2 none /sys/fs/cgroup (beside a v1 hierarchy: mkdir "
            "/sys/fs/cgroup/unified, and mount it there)",
        )
    elif not os.access(own, os.W_OK):
        yield Caution(
            f"isobench cannot create a cgroup in {own}: CPU time comes from rusage, in coarser "
            "steps",
            "run it as root, or in a delegated cgroup: systemd-run --user --scope -p Delegate=yes "
            "isobench ...",
        )


def pressure(view: View) -> Iterator[Caution]:
    """Pressure shows waiting that a load average smooths away."""
    if view.entries("proc") is not None and view.read("proc/pressure/cpu") is None:
        yield Caution(
            "the kernel does not report pressure (PSI): how long tasks waited for a processor "
            "stays unseen",
            "boot with psi=1 on the kernel's command line (Linux 4.20 or later)",
        )


# Connections


def open_files(_view: View) -> Iterator[Caution]:
    """Each connection takes a descriptor."""
    soft, _hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != resource.RLIM_INFINITY and soft < _LEAST_FILES:
        yield Caution(
            f"a process may open {soft} files: connections will fail under many users",
            f"ulimit -n {16 * _LEAST_FILES}",
        )


def ports(view: View) -> Iterator[Caution]:
    """A closed connection keeps its port for a minute (TIME_WAIT)."""
    limits = (view.read(f"{_SYSCTL}/net/ipv4/ip_local_port_range") or "").split()
    first, last = map(_whole, limits) if len(limits) == 2 else (None, None)
    if first is None or last is None:
        return
    if last - first < _LEAST_PORTS:
        yield Caution(
            f"there are {last - first + 1} ports for clients: with a connection for each "
            "request they are used up in seconds, and connecting gets slow, then fails",
            "as root: sysctl -w net.ipv4.ip_local_port_range='32768 60999'",
        )


def reused_ports(view: View) -> Iterator[Caution]:
    """Without reuse, 28,000 ports last a quick server three seconds."""
    if view.read(f"{_SYSCTL}/net/ipv4/tcp_tw_reuse") == "0":
        yield Caution(
            "ports of closed connections are not reused for a minute (tcp_tw_reuse is 0): with a "
            "connection for each request a quick server uses them up",
            "as root: sysctl -w net.ipv4.tcp_tw_reuse=2 (2: on loopback only)",
        )


def connection_tracking(view: View) -> Iterator[Caution]:
    """Tracked connections cost, and the table can fill up."""
    count = view.number(f"{_SYSCTL}/net/netfilter/nf_conntrack_count")
    most = view.number(f"{_SYSCTL}/net/netfilter/nf_conntrack_max")
    if count and most is not None:
        yield Caution(
            f"the firewall tracks connections (nf_conntrack: {count} of {most}): each costs time "
            "in the kernel, and when the table is full they are dropped",
            "as root: iptables -t raw -I OUTPUT -o lo -j CT --notrack; "
            "iptables -t raw -I PREROUTING -i lo -j CT --notrack",
        )


# Worth knowing


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


def cpu_controller(view: View) -> Iterator[Caution]:
    """Not needed to count CPU time, only to limit it."""
    own = cgroup.own_directory(view.root)
    if own is None:
        return
    try:
        controllers = (own / "cgroup.controllers").read_text(errors="replace").split()
    except OSError:
        return
    if "cpu" not in controllers:
        yield Caution(
            f"the cgroup {own} has no cpu controller: isobench counts CPU time all the same, from "
            "cpu.stat, which every cgroup has",
            "for limits as root: echo +cpu > cgroup.subtree_control in the cgroup above; where v1 "
            "has it: systemd.unified_cgroup_hierarchy=1 on the kernel's command line",
        )


def profiling(view: View) -> Iterator[Caution]:
    """For those who want to know where in the kernel the time goes."""
    level = view.number(f"{_SYSCTL}/kernel/perf_event_paranoid")
    if level is not None and level > 1 and os.geteuid() != 0:
        yield Caution(
            f"perf may not observe the kernel (perf_event_paranoid is {level}); isobench does "
            "not need it",
            "to profile a served target: sysctl -w kernel.perf_event_paranoid=1, as root",
        )
    # Where tracefs is mounted, only root may look into it: whoever may not, learns nothing here.
    tracing = view.entries("sys/kernel/tracing")
    if tracing is not None and "events" not in tracing:
        yield Caution(
            "tracefs is not mounted, so perf trace has no events; isobench does not need it",
            "as root: mount -t tracefs none /sys/kernel/tracing",
        )


def old_kernel(view: View) -> Iterator[Caution]:
    """What an older kernel lacks, isobench does in a weaker way."""
    release = view.read(f"{_SYSCTL}/kernel/osrelease") or ""
    match = re.match(r"(\d+)\.(\d+)", release)
    if match and (int(match[1]), int(match[2])) < _CGROUP_KILL:
        yield Caution(
            f"Linux {release} has no cgroup.kill: a server's processes are ended by its pid "
            "namespace alone",
            "use Linux 5.14 or later; the doctor's table says which modes need newer features",
        )


def early_copies(view: View) -> Iterator[Caution]:
    """Whether forks of the servers can copy pages at once (servers/interpreter/pinned_pages.py)."""
    match = re.match(r"(\d+)\.(\d+)", view.read(f"{_SYSCTL}/kernel/osrelease") or "")
    if match and (int(match[1]), int(match[2])) < _RING_WITHOUT_DESCRIPTOR:
        reason, remedy = f"Linux {match[0]} is older than 5.18", "use a newer kernel"
    elif view.number(f"{_SYSCTL}/kernel/io_uring_disabled"):
        reason, remedy = "io_uring is disabled", "sysctl kernel.io_uring_disabled=0"
    else:
        return
    yield Caution(
        f"{reason}: servers that fork for each request copy their pages one by one, and are up to "
        "a third slower than elsewhere (docs/modes.md)",
        f"{remedy}, or compare only with hosts of the same kind",
    )


HARMFUL: tuple[Check, ...] = (
    *(one_processor, one_core, cpu_limit, governor, turbo, battery, hypervisor, steal),
    *(clocksource, swap, huge_pages, aslr, load, control_groups, pressure),
    *(open_files, ports, reused_ports, connection_tracking),
)
WORTH_KNOWING: tuple[Check, ...] = (
    mitigations,
    cpu_controller,
    profiling,
    old_kernel,
    early_copies,
)


def cgroup_cpu_limit(view: View) -> float | None:
    """Return how many processors' time a cgroup (v2 or v1) around us allows, None for any number.

    The least of all cgroups around us counts; those outside a container's own view stay unseen.
    """
    limits = [*_limits_v2(view), *_limits_v1(view)]
    return min(limits, default=None)


def cgroup_memory_limit_mib(view: View) -> float | None:
    """Return the least memory limit in MiB of the cgroups (v2) around us, None without one."""
    limits = (_whole(text) for _, text in _around_us(view, "memory.max"))
    least = min((limit for limit in limits if limit is not None), default=None)
    return None if least is None else least / 2**20


def _around_us(view: View, name: str) -> Iterator[tuple[Path, str]]:
    """Yield each cgroup around us, from the inside, with what its file of this name holds."""
    own = cgroup.own_directory(view.root)
    for folder in (own, *own.parents) if own else ():
        try:
            yield folder, (folder / name).read_text(errors="replace").strip()
        except OSError:
            continue


def _limits_v2(view: View) -> Iterator[float]:
    for _, text in _around_us(view, "cpu.max"):
        quota, _, period = text.partition(" ")
        yield from _share(_whole(quota), _whole(period))  # "max" is no number


def _limits_v1(view: View) -> Iterator[float]:
    for line in (view.read("proc/self/cgroup") or "").splitlines():
        # cgroups(7): hierarchy, controllers, path
        controllers, _, path = line.partition(":")[2].partition(":")
        if "cpu" not in controllers.split(","):
            continue
        # In a container the path may be that of the host, and the mount already the container's.
        for folder in dict.fromkeys(f"sys/fs/cgroup/cpu{end.rstrip('/')}" for end in (path, "")):
            quota = view.number(f"{folder}/cpu.cfs_quota_us")  # -1: no limit
            yield from _share(quota, view.number(f"{folder}/cpu.cfs_period_us"))


def _share(quota: int | None, period: int | None) -> Iterator[float]:
    """Yield how many processors' time a quota is, nothing where there is none."""
    if quota is not None and period is not None and min(quota, period) > 0:
        yield quota / period


def _fields(text: str) -> dict[str, int]:
    """Read lines such as `SwapFree:  1024 kB`."""
    return {name: int(number) for name, number in re.findall(r"(?m)^(\w+):\s+(\d+)\b", text)}


def _whole(text: str | None) -> int | None:
    """Return the whole number that a text is, None where it is none."""
    return int(text) if text is not None and re.fullmatch(r"-?[0-9]+", text) else None
