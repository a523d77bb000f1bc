"""What the recorder keeps of Locust's request events."""

from pathlib import Path

import numpy as np
import pytest

from workloads.load.clients.reply import ExchangeFailed
from workloads.load.recorder import EVIDENCE_BYTES, Evidence, OpenLoadRecorder, Recorder, WrongReply


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


def note_open(
    recorder: OpenLoadRecorder, intended: float, began: float, exception: Exception | None = None
) -> None:
    recorder.on_request(
        response_time=(began + 0.5 - intended) * 1e3,
        exception=exception,
        context={"tenant": "t1", "intended": intended, "began": began, "completed": began + 0.5},
    )


def test_an_open_load_keeps_both_clocks() -> None:
    recorder = OpenLoadRecorder()
    note_open(recorder, 10.0, 12.0)
    assert recorder.rows().tolist() == [[12.5, 500_000.0, 10.0]]
    assert (len(recorder), recorder.errors) == (1, 0)


def test_what_failed_is_settled_but_no_reply() -> None:
    recorder = OpenLoadRecorder()
    note_open(recorder, 10.0, 10.0)
    note_open(recorder, 11.0, 11.0, ExchangeFailed("none"))
    note_open(recorder, 12.0, 12.0, WrongReply("wrong", 200, b""))
    assert (len(recorder), recorder.errors, recorder.unanswered) == (2, 2, 1)
    assert recorder.settled_within(10.0, 12.0) == 2
    assert recorder.completed_within(10.0, 13.0) == 2
    assert np.isnan(recorder.rows()[:, 1]).tolist() == [False, True, False]


def test_nobody_who_was_to_be_asked_is_forgotten(tmp_path: Path) -> None:
    recorder = OpenLoadRecorder()
    note_open(recorder, 10.25, 10.25)
    note_open(recorder, 10.75, 10.75, ExchangeFailed("none"))
    recorder.give_up(np.array([10.25, 10.5, 10.75, 11.0]), at=20.0)
    recorder.save(tmp_path / "rows.npy")
    rows = np.load(tmp_path / "rows.npy")
    assert rows[:, [0, 2]].tolist() == [[10.75, 10.25], [11.25, 10.75], [20.0, 10.5], [20.0, 11.0]]
    assert np.isnan(rows[:, 1]).tolist() == [False, True, True, True]
    assert len(recorder) == 1


def test_an_open_load_without_a_request_has_no_rows() -> None:
    assert OpenLoadRecorder().rows().shape == (0, 3)
