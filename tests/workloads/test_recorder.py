"""What the recorder keeps of Locust's request events."""

from pathlib import Path

import numpy as np
import pytest

from workloads.recorder import EVIDENCE_BYTES, Evidence, Recorder, WrongReply
from workloads.reply import ExchangeFailed


def note(recorder: Recorder, completed: float, exception: Exception | None = None) -> None:
    recorder.on_request(
        response_time=0.3125,
        exception=exception,
        context={"tenant": "t0001", "completed": completed},
        name="/hello.py",
    )


def test_times_are_kept_as_they_were_measured() -> None:
    recorder = Recorder()
    note(recorder, 1234.5)
    assert recorder.rows().tolist() == [[1234.5, 312.5]]


def test_the_window_is_half_open() -> None:
    recorder = Recorder()
    for completed in (1.0, 2.0, 3.0):
        note(recorder, completed)
    assert recorder.completed_within(1.0, 3.0) == 2


def test_without_a_completion_time_it_is_the_time_of_the_event() -> None:
    recorder = Recorder()
    recorder.on_request(response_time=1.0, exception=None, context={})
    assert recorder.rows()[0, 0] > 0


def test_a_wrong_reply_is_a_row_and_an_error() -> None:
    recorder = Recorder()
    note(recorder, 1.0, WrongReply("status 500 instead of 200", 500, b"x" * 5000))
    note(recorder, 2.0, WrongReply("another", 501, b""))
    assert (len(recorder), recorder.errors, recorder.unanswered) == (2, 2, 0)
    expected = Evidence("status 500 instead of 200", "t0001", 500, "x" * EVIDENCE_BYTES)
    assert recorder.evidence == expected


def test_no_reply_is_an_error_without_a_row() -> None:
    recorder = Recorder()
    note(recorder, 1.0, ExchangeFailed("nothing listens"))
    assert (len(recorder), recorder.errors, recorder.unanswered) == (0, 1, 1)
    assert recorder.evidence == Evidence("nothing listens", "t0001")


def test_each_error_is_announced() -> None:
    seen: list[int] = []
    recorder = Recorder(on_error=seen.append)
    note(recorder, 1.0)
    note(recorder, 2.0, WrongReply("wrong", 200, b""))
    note(recorder, 3.0, ExchangeFailed("none"))
    assert seen == [1, 2]


@pytest.mark.parametrize("count", [0, 3])
def test_saved_rows(tmp_path: Path, count: int) -> None:
    recorder = Recorder()
    for completed in range(count):
        note(recorder, float(completed))
    recorder.save(tmp_path / "rows.npy")
    rows = np.load(tmp_path / "rows.npy")
    assert (rows.shape, rows.dtype) == ((count, 2), np.float64)
    assert [path.name for path in tmp_path.iterdir()] == ["rows.npy"]
