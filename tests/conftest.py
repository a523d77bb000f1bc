"""How tests run: side by side (`pytest -n 6`), or one kind of them for long (`pytest --fuzz`)."""

import gc
import os
import sys
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
from hypothesis import settings

# Timings never decide a test.
settings.register_profile("isobench", deadline=None)
settings.load_profile("isobench")

# isobench is started hundreds of times: to compile each time what it imports, which a user may have
# asked Python for in his environment, takes longer than all the tests.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
sys.dont_write_bytecode = False

PEERS = ("tests/servers/peers/", "tests/harness/commands/running/test_run_peers.py")
"""Tests of products, one after the other: they look whether anything is left of these."""

SECONDS = {
    "tests/servers/peers/": 1.0,
    "tests/servers/modes/test_fastcgi.py": 1.0,
    "tests/servers/modes/test_sandbox.py": 1.0,
    "tests/servers/modes/": 0.3,
    "tests/servers/front/": 0.4,
    "tests/servers/test_hostile_processes.py": 0.3,
    "tests/servers/test_inheritance.py": 0.4,
    "tests/servers/test_main.py": 0.3,
    "tests/servers/": 0.1,
    "tests/harness/commands/guide/test_help.py": 0.1,
    "tests/harness/commands/running/test_fitting_table.py": 0.1,
    "tests/harness/commands/test_several_hosts.py": 1.0,
    "tests/harness/commands/": 8.0,
    "tests/harness/plan/test_stopping_coverage.py": 30.0,
    "tests/harness/host/test_user_namespace.py": 6.0,
    "tests/harness/neighbour/test_measure.py": 3.0,
    "tests/harness/": 1.0,
    "tests/reports/": 0.5,
    "tests/": 0.2,
}
"""How long a test takes, about: the first entry with which its path begins."""


def group_of(test: str) -> str:
    """Return the name of those that a test must not run beside; `test` is its node id."""
    return "peers" if test.startswith(PEERS) else test.partition("::")[0]


def seconds_of(tests: Iterable[str]) -> float:
    """Return how long tests take one after the other, about."""
    return sum(
        next(each for place, each in SECONDS.items() if test.startswith(place)) for test in tests
    )


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Iterator[None]:
    """Look for no garbage among ten thousand tests, of which none is: not now, and not later."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.enable()


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Give each group to one process, the longest first, so that all end at the same time."""
    from xdist.scheduler import LoadScopeScheduling

    class ByGroup(LoadScopeScheduling):  # type: ignore[misc]  # it has no types
        def _split_scope(self, nodeid: str) -> str:
            return group_of(nodeid)

        def _assign_work_unit(self, node: Any) -> None:
            longest = max(self.workqueue, key=lambda group: seconds_of(self.workqueue[group]))
            self.workqueue.move_to_end(longest, last=False)
            super()._assign_work_unit(node)

    return ByGroup(config, log)


@pytest.fixture(autouse=True, scope="session")
def without_the_disk() -> Iterator[None]:
    """Write files without waiting for the disk: no test takes the power away."""
    with mock.patch("os.fsync", return_value=None):
        yield


@pytest.fixture(autouse=True)
def in_the_same_directory() -> Iterator[None]:
    """Go back to where the test began: what runs scripts in this process changes the directory."""
    here = Path.cwd()
    yield
    os.chdir(here)


# Fuzzing: the properties that tests state with hypothesis, tried on new examples for a given time.


def pytest_addoption(parser: pytest.Parser) -> None:
    """Take the time that all properties have together."""
    parser.addoption(
        "--fuzz", type=float, metavar="SECONDS", help="only the properties, for so long in all"
    )


def is_property(item: pytest.Item) -> bool:
    """Return whether a test is one of those that hypothesis makes examples for."""
    return getattr(getattr(item, "obj", None), "is_hypothesis_test", False)


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave the properties only, with the time that each of them has."""
    seconds = config.getoption("--fuzz")
    if seconds is None:
        return
    properties = [item for item in items if is_property(item)]
    config.hook.pytest_deselected(items=[item for item in items if not is_property(item)])
    items[:] = properties
    for item in properties:
        share = seconds / len(properties)
        item.add_marker(pytest.mark.timeout(2 * share + float(item.config.getini("timeout"))))
        item.stash[FUZZED] = share


FUZZED = pytest.StashKey[float]()


@pytest.hookimpl(wrapper=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> Iterator[None]:
    """Try a property again and again, with other examples each time, until its time is over."""
    end = time.monotonic() + pyfuncitem.stash.get(FUZZED, 0.0)
    result = yield
    arguments = {name: pyfuncitem.funcargs[name] for name in pyfuncitem._fixtureinfo.argnames}
    while FUZZED in pyfuncitem.stash and time.monotonic() < end:
        pyfuncitem.obj(**arguments)
    return result
