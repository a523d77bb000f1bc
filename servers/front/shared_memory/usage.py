"""What a process has used, as the kernel counts it."""

from __future__ import annotations

import resource

from servers.typed import NamedTuple


class Usage(NamedTuple):
    """What processes have used, with all their children that were reaped (getrusage(2))."""

    cpu_ns: int = 0
    minor_faults: int = 0
    major_faults: int = 0
    voluntary_switches: int = 0
    involuntary_switches: int = 0

    def plus(self, other: Usage) -> Usage:
        """Return the usage of both together."""
        return Usage(*(mine + its for mine, its in zip(self, other, strict=True)))


def usage_of(rusage: resource.struct_rusage) -> Usage:
    """Return the parts of a `getrusage` or `wait4` result that isobench reports."""
    return Usage(
        int((rusage.ru_utime + rusage.ru_stime) * 1e9),
        rusage.ru_minflt,
        rusage.ru_majflt,
        rusage.ru_nvcsw,
        rusage.ru_nivcsw,
    )


def own_usage() -> Usage:
    """Return what this process and its reaped children have used."""
    return usage_of(resource.getrusage(resource.RUSAGE_SELF)).plus(
        usage_of(resource.getrusage(resource.RUSAGE_CHILDREN))
    )
