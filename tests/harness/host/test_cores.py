"""A thread goes to some of its processors, and comes back, whatever happens there."""

import os
import subprocess
import sys

import pytest

from harness.host.cores import Cores, divide, running_on

ALL = os.sched_getaffinity(0)
LAST = max(ALL)


def test_what_is_started_there_runs_there() -> None:
    ask = (sys.executable, "-c", "import os; print(os.sched_getaffinity(0))")
    with running_on((LAST,)):
        assert subprocess.check_output(ask, text=True).strip() == str({LAST})
    assert os.sched_getaffinity(0) == ALL


def test_it_comes_back_after_an_error() -> None:
    with pytest.raises(ZeroDivisionError), running_on((LAST,)):
        raise ZeroDivisionError
    assert os.sched_getaffinity(0) == ALL


def test_a_processor_that_is_not_there_changes_nothing() -> None:
    with pytest.raises(OSError, match="Invalid argument"), running_on((1 << 14,)):
        pass
    assert os.sched_getaffinity(0) == ALL


@pytest.mark.parametrize(
    ("cpus", "siblings", "cores"),
    [
        ([0], {0: {0}}, Cores((0,), (0,))),
        ([0, 1], {0: {0}, 1: {1}}, Cores((1,), (0,))),
        ([0, 1], {0: {0, 1}, 1: {0, 1}}, Cores((1,), (0,))),
        ([0, 1, 2, 3], {2: {2, 3}, 3: {2, 3}}, Cores((3,), (0,))),
        ([1, 2, 3], {1: {1, 3}, 2: {2}, 3: {1, 3}}, Cores((3,), (2,))),
        ([4, 6], {}, Cores((6,), (4,))),
    ],
)
def test_server_and_generator_get_different_cores_where_there_are_two(
    cpus: list[int], siblings: dict[int, set[int]], cores: Cores
) -> None:
    found = divide(cpus, {cpu: frozenset(shared) for cpu, shared in siblings.items()})
    assert found == cores
    assert found.shared == (len(cpus) == 1)
