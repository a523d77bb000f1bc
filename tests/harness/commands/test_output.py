"""Where a command's product goes: standard output, a file, or what a file's name stands for."""

import os
import sys
from pathlib import Path

import pytest

from harness.commands.output import deliver
from harness.errors import IsobenchError


def test_without_a_file_it_goes_to_standard_output_alone(
    capsys: pytest.CaptureFixture[str],
) -> None:
    deliver("a,b\n", None)
    assert tuple(capsys.readouterr()) == ("a,b\n", "")


def test_a_file_is_written_and_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    deliver("a,b\n", tmp_path / "out")
    assert (tmp_path / "out").read_text() == "a,b\n"
    assert tuple(capsys.readouterr()) == ("", f"written: {tmp_path / 'out'}\n")


def test_a_pipe_is_written_to_and_stays_one(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    reader = os.open(tmp_path / "pipe", os.O_RDONLY | os.O_NONBLOCK)
    try:
        deliver("a,b\n", tmp_path / "pipe")
        assert os.read(reader, 100) == b"a,b\n"
    finally:
        os.close(reader)
    assert (tmp_path / "pipe").is_fifo()


def test_what_cannot_be_written_is_an_error_with_a_hint(tmp_path: Path) -> None:
    with pytest.raises(IsobenchError, match="Is a directory") as caught:
        deliver("a,b\n", tmp_path)
    assert caught.value.hint == "choose another file with --out"


def test_nobody_is_told_where_nobody_listens(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Streams that were closed from the start, and standard error on a full disk."""
    monkeypatch.setattr(sys, "stdout", None)
    deliver("a,b\n", None)
    with open("/dev/full", "w", buffering=1) as full:
        for stream in (None, full):
            monkeypatch.setattr(sys, "stderr", stream)
            deliver("a,b\n", tmp_path / "out")
            assert (tmp_path / "out").read_text() == "a,b\n"
        os.dup2(os.open(os.devnull, os.O_WRONLY), full.fileno())  # for what is still held back
