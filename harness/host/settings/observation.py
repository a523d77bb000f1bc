"""What the kernel lets isobench observe: cgroups, pressure, perf, tracefs."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator

from harness.errors import Caution
from harness.host import cgroup
from harness.host.settings.view import SYSCTL, View

_CGROUP_KILL = (5, 14)  # cgroup-v2.rst: since when cgroup.kill exists


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
    level = view.number(f"{SYSCTL}/kernel/perf_event_paranoid")
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
    release = view.read(f"{SYSCTL}/kernel/osrelease") or ""
    match = re.match(r"(\d+)\.(\d+)", release)
    if match and (int(match[1]), int(match[2])) < _CGROUP_KILL:
        yield Caution(
            f"Linux {release} has no cgroup.kill: a server's processes are ended by its pid "
            "namespace alone",
            "use Linux 5.14 or later; the doctor's table says which modes need newer features",
        )
