"""Processes are really made: each way works here or says why not; memory is what was asked for."""

import errno
import os
import random
from contextlib import nullcontext
from pathlib import Path

import psutil
import pytest

from harness.costs import creation
from harness.costs.build import Programs
from harness.costs.creation import WAYS, Creator, Heap, Refused, huge_mib, one_round
from harness.costs.effort import QUICK
from harness.costs.samples import Missing, Sample
from harness.target.run_resources import RunResources
from tests.harness.live import needs_root

SMALL = Heap(2, "small")
CPUS = tuple(sorted(os.sched_getaffinity(0))[-1:])
BUDGET_US = 1000


@needs_root
def test_every_way_makes_and_reaps_a_process(built: Programs) -> None:
    with RunResources() as resources:
        cgroup = resources.processes.path
        with Creator(built, SMALL, CPUS, cgroup) as creator:
            found = list(one_round(creator, 1, QUICK, random.Random(1)))
    samples = {one.subject.name: one for one in found if isinstance(one, Sample)}
    missing = {one.name for one in found if isinstance(one, Missing)}
    assert missing == (set() if cgroup else {"clone3 into a cgroup"})
    assert samples.keys() | missing == set(WAYS.values())
    for one in samples.values():
        assert one.value_us > 0
        assert one.repetitions >= 3
        assert one.facts.call_us is not None
        assert 0 < one.facts.call_us <= one.value_us


def test_only_a_process_with_memory_of_its_own_faults(built: Programs) -> None:
    with Creator(built, SMALL, CPUS, None) as creator:
        faults = {way: measured(creator, way).facts.page_faults for way in ("thread", "fork")}
    assert faults["thread"] is not None
    assert faults["fork"] is not None
    assert faults["thread"] < 1 < faults["fork"]


def measured(creator: Creator, way: str) -> Sample:
    one = creator.measure(way, 1, BUDGET_US)
    assert isinstance(one, Sample)
    return one


@pytest.fixture
def others() -> list[psutil.Process]:
    """Children that this process has anyway, such as those of other tests."""
    return psutil.Process().children()


def children_beside(others: list[psutil.Process]) -> list[psutil.Process]:
    return [child for child in psutil.Process().children() if child not in others]


def test_nothing_is_left_of_it(built: Programs, others: list[psutil.Process]) -> None:
    with Creator(built, SMALL, CPUS, None) as creator:
        measured(creator, "fork")
        (process,) = children_beside(others)
        assert process.children() == []
    assert not process.is_running()


@pytest.mark.parametrize("mib", [4, 16])
def test_the_heap_is_resident(built: Programs, mib: int, others: list[psutil.Process]) -> None:
    with Creator(built, Heap(mib, "small"), CPUS, None):
        (process,) = children_beside(others)
        assert mib <= process.memory_info().rss / 2**20 < mib + 4
        assert huge_mib(process.pid) == 0


def test_it_runs_where_it_was_told_and_we_do_not(
    built: Programs, others: list[psutil.Process]
) -> None:
    before = os.sched_getaffinity(0)
    with Creator(built, SMALL, CPUS, None):
        (process,) = children_beside(others)
        assert process.cpu_affinity() == list(CPUS)
        assert os.sched_getaffinity(0) == before


def test_huge_pages_are_there_where_they_are_allowed(
    built: Programs, others: list[psutil.Process]
) -> None:
    setting = Path("/sys/kernel/mm/transparent_hugepage/enabled")
    allowed = setting.exists() and "[never]" not in setting.read_text()
    creator = Creator(built, Heap(16, "huge"), CPUS, None)
    with nullcontext() if allowed else pytest.raises(Refused, match="in huge pages"), creator:
        (process,) = children_beside(others)
        assert huge_mib(process.pid) >= 14


def test_a_heap_that_no_host_has_is_refused(built: Programs) -> None:
    with (
        pytest.raises(Refused, match="Cannot allocate memory"),
        Creator(built, Heap(2**40, "small"), CPUS, None),
    ):
        pass


def test_what_the_kernel_refuses_is_missing_with_its_reason(built: Programs) -> None:
    with Creator(built, SMALL, CPUS, Path("/nowhere")) as creator:
        one = creator.measure("clone3_into_cgroup", 1, BUDGET_US)
    assert one == Missing(
        "clone3 into a cgroup", "the kernel refuses it: No such file or directory"
    )


def test_without_a_static_program_its_ways_are_missing(built: Programs) -> None:
    without = Programs(built.creation, built.launch, built.dynamic, None)
    with Creator(without, SMALL, CPUS, None) as creator:
        assert isinstance(creator.measure("posix_spawn", 1, BUDGET_US), Missing)
        assert isinstance(creator.measure("fork_exec_dynamic", 1, BUDGET_US), Sample)


def test_each_round_has_an_order_of_its_own(built: Programs) -> None:
    with Creator(built, SMALL, CPUS, None) as creator:
        orders = [
            [
                one.subject.name if isinstance(one, Sample) else one.name
                for one in one_round(creator, 1, QUICK, random.Random(seed))
            ]
            for seed in (1, 2, 1)
        ]
    assert orders[0] == orders[2] != orders[1]


def test_a_signal_is_told_from_a_refusal() -> None:
    assert creation._refusal(errno.EINTR).startswith("a signal ends the process")
    assert creation._refusal(errno.EPERM) == "the kernel refuses it: Operation not permitted"
