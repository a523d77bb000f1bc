"""Reading a journal that is being written."""

import struct
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from harness.profile import journal
from harness.profile.journal import Incomplete, JournalReader

LAYOUT = {"points": ["accepted", "sent"]}
CELL = struct.Struct("=q")


@pytest.fixture
def write(tmp_path: Path) -> Callable[..., None]:
    """Write the cells of a journal."""

    def writing(*cells: int) -> None:
        (tmp_path / "journal").write_bytes(b"".join(map(CELL.pack, cells)))

    return writing


def test_what_is_older_than_the_request_is_left_out(
    tmp_path: Path, write: Callable[..., None]
) -> None:
    write(300, 100)
    with JournalReader(tmp_path / "journal", LAYOUT) as reader:
        assert reader.record(["accepted"], began=200) == {"accepted": 300}


def test_it_waits_for_the_last_points(tmp_path: Path, write: Callable[..., None]) -> None:
    write(300, 0)
    path = tmp_path / "journal"

    def stamp() -> None:
        time.sleep(0.02)
        with open(path, "r+b") as file:
            file.seek(CELL.size)
            file.write(CELL.pack(400))

    writer = threading.Thread(target=stamp)
    with JournalReader(path, LAYOUT) as reader:
        writer.start()
        assert reader.record(["sent"], began=200) == {"accepted": 300, "sent": 400}
    writer.join()


def test_what_never_comes_is_named(
    tmp_path: Path, write: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(journal, "PATIENCE_S", 0.01)
    write(300, 0)
    with (
        JournalReader(tmp_path / "journal", LAYOUT) as reader,
        pytest.raises(Incomplete, match="never reached the points sent"),
    ):
        reader.record(["sent"], began=200)
