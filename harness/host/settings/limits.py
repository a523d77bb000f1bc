"""The limits of the cgroups (v1 and v2) around isobench."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from harness.host import cgroup
from harness.host.settings.view import View, whole_number


def cgroup_cpu_limit(view: View) -> float | None:
    """Return how many processors' time a cgroup (v2 or v1) around us allows, None for any number.

    The least of all cgroups around us counts; those outside a container's own view stay unseen.
    """
    limits = [*_limits_v2(view), *_limits_v1(view)]
    return min(limits, default=None)


def cgroup_memory_limit_mib(view: View) -> float | None:
    """Return the least memory limit in MiB of the cgroups (v2) around us, None without one."""
    limits = (whole_number(text) for _, text in _around_us(view, "memory.max"))
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
        yield from _share(whole_number(quota), whole_number(period))  # "max" is no number


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
