"""What is counted where, in a file that several processes write."""

import faulthandler
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from servers.front.shared_memory import tally
from servers.front.shared_memory.tally import CELL, HEAD, Tally, layout, places_of

SITES = ["t0001", "t0002"]
SMALLEST = 1 << 16


@pytest.fixture
def made(tmp_path: Path) -> Iterator[Tally]:
    opened = Tally.at(tmp_path / "tally", rows=2, sites=len(SITES))
    yield opened
    os.close(opened.file)


def cells(made: Tally, row: int) -> list[list[int]]:
    """Return the cells of a row, as its file has them."""
    words = memoryview(os.pread(made.file, 1 << 20, 0)).cast("q").tolist()
    first: int = layout(SITES)["head_words"] + row * (len(SITES) + 1) * CELL  # type: ignore[operator]
    return [words[at : at + CELL] for at in range(first, first + 3 * CELL, CELL)]


def test_each_site_and_each_row_has_cells_of_its_own(made: Tally) -> None:
    places = places_of(SITES)
    made.row(0, places).count("t0001", 200, 1)
    made.row(1, places).count("t0002", 500, 1)
    made.row(1, places).count("nobody", 404, 1)
    first, second = cells(made, 0), cells(made, 1)
    assert [cell[:4] for cell in first] == [[1, 0, 0, 0], [0] * 4, [0] * 4]
    assert [cell[:4] for cell in second] == [[0] * 4, [0, 0, 0, 1], [0, 0, 1, 0]]


@pytest.mark.parametrize(
    ("took_ns", "bucket"),
    [
        *((-5, 0), (0, 0), (SMALLEST, 0), (SMALLEST + 1, 1), (2 * SMALLEST, 1)),
        *((2 * SMALLEST + 1, 2), (1 << 35, 19), ((1 << 35) + 1, 20), (1 << 62, 20)),
    ],
)
def test_a_latency_is_in_the_first_bucket_that_ends_no_earlier(
    made: Tally, took_ns: int, bucket: int
) -> None:
    made.row(0, places_of(SITES)).count("t0001", 200, took_ns)
    cell = cells(made, 0)[0]
    assert [place for place, count in enumerate(cell[5:]) if count] == [bucket]
    assert cell[4] == max(took_ns, 1)
    ends = layout(SITES)["bucket_ends_ns"]
    assert isinstance(ends, list)
    assert bucket == 20 or took_ns <= ends[bucket]


@pytest.mark.parametrize(("status", "place"), [(100, 0), (204, 0), (302, 1), (404, 2), (999, 3)])
def test_a_status_counts_in_its_class(made: Tally, status: int, place: int) -> None:
    row = made.row(0, places_of(SITES))
    row.count("t0001", status, 1)
    row.refuse(status)
    for cell in (cells(made, 0)[0], cells(made, 0)[-1]):
        assert [at for at, count in enumerate(cell[:4]) if count] == [place]
    assert sum(cells(made, 0)[-1][4:]) == 0  # what was refused has no latency


def test_the_head_says_what_there_is_and_what_is_not_known(made: Tally) -> None:
    made.note("workers_busy", 3)
    words = memoryview(os.pread(made.file, 8 * len(HEAD), 0)).cast("q").tolist()
    head = dict(zip(HEAD, words, strict=True))
    assert (head["rows"], head["sites"], head["workers_busy"]) == (2, 2, 3)
    assert head["tenant_workers"] == -1


def test_rehearsals_are_counted_nowhere(made: Tally) -> None:
    tally.nowhere().count("t0001", 200, 5)
    assert not any(map(any, cells(made, 0)))


def test_what_is_forked_has_the_tally_only_where_it_is_given(made: Tally) -> None:
    def child_can_write() -> bool:
        process = os.fork()
        if process == 0:
            faulthandler.disable()
            made.note("workers", 1)  # SIGSEGV where it is not mapped
            os._exit(0)
        return os.waitpid(process, 0)[1] == 0

    made.keep_from_children()
    assert not child_can_write()
    made.give_to_children()
    assert child_can_write()
