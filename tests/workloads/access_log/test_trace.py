"""A trace, and how it is played."""

from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from workloads.access_log import trace
from workloads.access_log.trace import NS, Playback, Trace
from workloads.errors import WorkloadError


def made(seconds: list[int], tenants: list[int] | None = None, workload: int = 0) -> Trace:
    count = len(seconds)
    chosen = list(range(count)) if tenants is None else tenants
    columns = (np.array(column, dtype=np.int64) for column in (seconds, chosen, [workload] * count))
    return Trace.of(*columns)


@given(st.lists(st.integers(10**9, 10**9 + 50), min_size=1, max_size=40))
def test_requests_keep_their_second_and_within_it_their_order(seconds: list[int]) -> None:
    found = made(seconds)
    times, tenants = found.array[0], found.array[1] >> trace.WORKLOAD_BITS
    assert (np.diff(times) >= 0).all()
    assert (times // NS + min(seconds)).tolist() == sorted(seconds)
    assert tenants.tolist() == sorted(range(len(seconds)), key=lambda number: seconds[number])
    assert found.period_s == max(seconds) - min(seconds) + 1


def test_the_same_log_makes_the_same_trace() -> None:
    assert made([5, 7, 7]).sha256 == made([5, 7, 7]).sha256 != made([5, 7, 8]).sha256


def played(playback: Playback, count: int) -> tuple[list[float], list[tuple[int, int]]]:
    return list(islice(playback.offsets(), count)), list(islice(playback.choices(), count))


def test_a_log_is_played_faster_and_round_and_round() -> None:
    found = made([100, 101, 103], [0, 1, 0], workload=2)
    times = found.array[0] / NS
    offsets, choices = played(Playback(found, 2.0), 7)
    expected = np.concatenate([times, times + 4, times + 8])[:7] - times[0]
    assert offsets == pytest.approx(expected / 2)
    assert choices == [(0, 2), (1, 2), (0, 2), (0, 2), (1, 2), (0, 2), (0, 2)]


def test_what_comes_before_is_played_while_a_load_warms_up() -> None:
    found = made([100, 101, 103])
    times = found.array[0] / NS
    offsets, choices = played(Playback(found, 1.0, first=1, lead_s=2.0), 5)
    assert min(offsets) >= 0
    first = choices.index((1, 0))
    assert choices[first - 1 : first + 2] == [(0, 0), (1, 0), (2, 0)]
    due = [times[0] - times[1], 0, times[2] - times[1]]
    assert offsets[first - 1 : first + 2] == pytest.approx(np.array(due) + 2)


def test_a_long_trace_is_played_without_a_gap() -> None:
    found = made(list(range(3000)))
    offsets, choices = played(Playback(found, 1.0), 6500)
    assert (np.diff(offsets) > 0).all()
    assert [tenant for tenant, _ in choices] == [*range(3000), *range(3000), *range(500)]


def fields(path: Path, **others: Any) -> dict[str, Any]:
    return {"file": str(path), "speed": 2, "at": 0.5, "lead_s": 0.1, **others}


def test_a_playback_is_read_from_a_file(tmp_path: Path) -> None:
    path = tmp_path / "replay.npy"
    path.write_bytes(made([1, 2, 3, 4]).to_bytes())
    read = Playback.of(fields(path), tenants=4, workloads=1)
    assert (read.speed, read.first, read.lead_s) == (2.0, 2, 0.1)
    assert read.trace.sha256 == made([1, 2, 3, 4]).sha256
    with pytest.raises(WorkloadError, match="has 4 tenants and 1 workloads"):
        Playback.of(fields(path), tenants=3, workloads=1)
    for wrong in ({"speed": 0}, {"speed": "nan"}, {"at": 1}):
        with pytest.raises(ValueError, match="speed"):
            Playback.of(fields(path, **wrong), tenants=4, workloads=1)


@pytest.mark.parametrize("content", [b"", b"no array", b"\x93NUMPY"])
def test_a_file_without_a_trace_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "replay.npy"
    path.write_bytes(content)
    with pytest.raises(WorkloadError, match="cannot read the trace"):
        trace.read(path)
    np.save(path, np.zeros(3))
    with pytest.raises(WorkloadError, match="holds no trace"):
        trace.read(path)
