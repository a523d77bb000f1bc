"""The journal: who stamps where, and that nothing else changes."""

import os
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest

from servers.profiling.journal import POINTS, Journal


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[Journal]:
    opened = Journal.at(tmp_path / "journal")
    yield opened
    os.close(opened.file)


def points(journal: Journal) -> dict[str, int]:
    """Return what the journal says, in its file, by its points."""
    times = memoryview(os.pread(journal.file, 8 * len(POINTS), 0)).cast("q")
    return {point: at for point, at in zip(POINTS, times, strict=True) if at}


def test_a_function_is_stamped_at_both_ends_and_works_as_before(journal: Journal) -> None:
    def work(a: int, *, b: int) -> int:
        return a + b

    before = time.monotonic_ns()
    assert journal.stamped(work, "entered", "left")(1, b=2) == 3
    stamped = points(journal)
    assert before <= stamped["entered"] <= stamped["left"] <= time.monotonic_ns()
    assert stamped.keys() == {"entered", "left"}


def test_parameters_stay_what_they_were(journal: Journal) -> None:
    def several(a: int, b: int = 2, *, c: int = 3) -> tuple[int, ...]:
        return a, b, c

    def plain(a: int, b: int = 2) -> tuple[int, ...]:
        return a, b

    class Bound:
        def method(self, a: int, b: int = 2) -> tuple[int, ...]:
            return a, b

    assert journal.stamped(several, "entered")(1, c=5) == (1, 2, 5)
    for function in (plain, Bound().method):
        stamping = journal.stamped(function, end="left")
        assert stamping(1) == (1, 2)
        assert stamping(b=4, a=3) == (3, 4)
    assert journal.stamped(os.getpid, "parsed")() == os.getpid()


def test_what_fails_has_begun_and_not_ended(journal: Journal) -> None:
    def fail() -> None:
        raise ValueError

    with pytest.raises(ValueError, match=r"^$"):
        journal.stamped(fail, "entered", "left")()
    assert points(journal).keys() == {"entered"}


def test_a_forked_child_stamps_into_the_same_journal(journal: Journal) -> None:
    process = journal.stamped(os.fork, "spawning", child="forked")()
    if process == 0:
        os._exit(0)
    os.waitpid(process, 0)
    stamped = points(journal)
    assert stamped["spawning"] < stamped["forked"]


def test_a_thread_stamps_as_well(journal: Journal) -> None:
    thread = threading.Thread(target=journal.stamped(lambda: None, "begun"))
    thread.start()
    thread.join()
    assert points(journal).keys() == {"begun"}


def test_who_maps_the_file_later_goes_on_with_it(journal: Journal, tmp_path: Path) -> None:
    journal.stamped(lambda: None, "parsed")()
    other = Journal.at(tmp_path / "journal")
    other.stamped(lambda: None, "ready")()
    os.close(other.file)
    assert points(journal).keys() == {"parsed", "ready"}


@pytest.fixture
def module() -> Iterator[SimpleNamespace]:
    """A module to instrument, by a name that can be imported."""
    name = "isobench_instrumented"
    made = SimpleNamespace(serve=lambda: None, Inner=type("Inner", (), {"work": lambda _self: 5}))
    sys.modules[name] = made  # type: ignore[assignment]
    yield made
    del sys.modules[name]


def test_probe_points_are_instrumented_in_modules_and_classes(
    journal: Journal, module: SimpleNamespace
) -> None:
    journal.instrument(
        [
            ("isobench_instrumented:serve", "parsed", ""),
            ("isobench_instrumented:Inner.work", "", "left"),
        ]
    )
    module.serve()
    assert module.Inner().work() == 5
    assert points(journal).keys() == {"parsed", "left"}


def test_a_point_has_the_time_when_it_was_passed_last(journal: Journal) -> None:
    passing = journal.stamped(lambda: None, "parsed")
    passing()
    first = points(journal)["parsed"]
    passing()
    assert points(journal)["parsed"] > first
