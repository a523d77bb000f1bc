"""The limits that cgroups around us set, in either version."""

from harness.host.settings import limits
from tests.harness.host.settings.made import Made


def test_the_least_limit_of_all_cgroups_around_counts(host: Made) -> None:
    view = host(
        {"sys/fs/cgroup/ours/cpu.max": "300000 100000", "sys/fs/cgroup/cpu.max": "50000 100000"}
    )
    assert limits.cgroup_cpu_limit(view) == 0.5


def test_limits_of_version_1_count_too(host: Made) -> None:
    view = host(
        {
            "proc/self/cgroup": "4:cpu,cpuacct:/docker/4711\n0::/ours",
            "sys/fs/cgroup/cpu/cpu.cfs_quota_us": "150000",
            "sys/fs/cgroup/cpu/cpu.cfs_period_us": "100000",
        }
    )
    assert limits.cgroup_cpu_limit(view) == 1.5


def test_no_limit_is_none(host: Made) -> None:
    assert limits.cgroup_cpu_limit(host({})) is None
    assert limits.cgroup_memory_limit_mib(host({})) is None


def test_a_memory_limit(host: Made) -> None:
    view = host({"sys/fs/cgroup/ours/memory.max": str(512 * 2**20)})
    assert limits.cgroup_memory_limit_mib(view) == 512
