"""Copy-on-write in a Python heap is real: who looks at objects copies their pages."""

import os
import random

from harness.costs.copying import ALONE, HOWS, PROCESS, WITHOUT_HEAP, one_round, parameter
from harness.costs.samples import Sample

CPUS = tuple(sorted(os.sched_getaffinity(0))[-1:])
MIB = 4
PAGES = MIB * 2**20 // os.sysconf("SC_PAGE_SIZE")


def faults(how: str) -> dict[str, float]:
    found = {}
    for one in one_round(MIB, how, 1, CPUS, random.Random(1)):
        assert isinstance(one, Sample)
        assert one.value_us > 0
        assert one.facts.page_faults is not None
        found[one.subject.parameter] = one.facts.page_faults
    return found


def test_looking_at_objects_copies_their_pages() -> None:
    for how in HOWS:
        found = faults(how)
        looked = found[parameter(MIB, "walk", how)] - found[parameter(MIB, "exit", how)]
        # The lists, not the numbers and arrays that they refer to, are written.
        assert looked > PAGES / 4


def test_collecting_copies_pages_unless_they_are_frozen_or_it_is_disabled() -> None:
    collected = {
        how: found[parameter(MIB, "collect", how)] - found[parameter(MIB, "exit", how)]
        for how in HOWS
        for found in [faults(how)]
    }
    assert collected["plain"] > PAGES / 4
    assert collected["freeze"] < PAGES / 10
    assert collected["disable"] < PAGES / 10


def test_without_a_child_nothing_is_copied() -> None:
    found = faults("plain")
    assert [found[parameter(MIB, task, "plain")] for task in ALONE] == [0, 0]


def test_a_process_without_a_heap_measures_threads_and_handing_over() -> None:
    told = {
        one.subject.parameter
        for one in one_round(0, "plain", 1, CPUS, random.Random(1))
        if isinstance(one, Sample) and one.subject.name == PROCESS
    }
    assert told == set(WITHOUT_HEAP.values())
