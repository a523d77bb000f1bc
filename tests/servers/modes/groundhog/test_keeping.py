"""The keeper under sanitizers: whatever a worker has done, it is as before, or is replaced."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from servers.errors import Unavailable
from servers.modes.groundhog import tracking
from tests.servers.live import needs_root
from tests.servers.modes.groundhog.fuzzing import (
    FOUND,
    IN_SCRATCH,
    KNOWN,
    Keeper,
    call,
    differences,
)


def _lacks() -> str:
    if not (shutil.which("gcc") or shutil.which("clang")):
        return "sanitizers take gcc or clang"
    try:
        tracking.check()
    except Unavailable as lacking:
        return str(lacking)
    return ""


pytestmark = [needs_root, pytest.mark.skipif(bool(_lacks()), reason=_lacks() or "nothing")]

REPLACED = {
    "the pool, mapped once more for writing",
    "a lock on an open file, by another number",
    "a lock on a standard descriptor",
    "a lock of an open file",
    "keys that forbid everything",
    "that memory, mapped away",
    "words that are not there",
    "words without an end",
    "words of no kind",
}
OF_KEYS = {"keys that allow one", "keys that forbid everything"}
HAS_KEYS = "ospke" in Path("/proc/cpuinfo").read_text().split()
"""Whether this processor has protection keys (pkeys(7)); to write them ends a worker elsewhere."""
EITHER = {
    "a larger page over its own",
    "a neighbour of its own that is as it",
    "a mapping of its own that the kernel may drop",
}


@pytest.fixture(name="folder", scope="module")
def _folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("hostile")


@pytest.fixture(name="keeper", scope="module")
def _keeper(folder: Path) -> Iterator[Keeper]:
    with Keeper(folder) as running:
        yield running


@pytest.mark.parametrize("name", KNOWN)
def test_a_worker_is_put_back_or_replaced_after(keeper: Keeper, name: str) -> None:
    kind, words = keeper.outcome(KNOWN[name])
    if kind == "T":
        pytest.skip("this host is too busy for the keeper to come to an end in its time")
    allowed = "KDE" if name in EITHER else "DE" if name in REPLACED else "K"
    if name in OF_KEYS and not HAS_KEYS:
        allowed = "E"
    assert kind in allowed, words


def test_hostile_requests_leave_nothing_behind(keeper: Keeper) -> None:
    outcomes, found = differences(keeper, seconds=20, seed=18, most=40)
    assert found == []
    assert outcomes["K"]


def test_a_keeper_that_forgets_what_it_heard_is_found_out(folder: Path) -> None:
    """The comparison itself."""
    ignored = IN_SCRATCH, 64
    with Keeper(folder, deaf=True) as deaf:
        outcomes = [
            deaf.outcome(case)
            for case in (
                (call("rt_sigaction", 10, ignored, 0, 8),),
                (call("mmap", 0, 8192, 3, 0x22, -1, 0),),
                (call("dup2", 2, 0),),
                (call("setsid"), call("prctl", 15, ignored)),
            )
        ]
    assert [kind for kind, _ in outcomes if kind in FOUND] == ["X"] * 4, os.linesep.join(
        words for _, words in outcomes
    )
