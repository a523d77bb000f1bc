"""The disk refuses, the process is killed: the old file is still there."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from harness.errors import IsobenchError
from harness.results.atomic_file import (
    content_of,
    make_directory,
    remove_partials,
    replace_file,
)


def test_replaces_as_a_whole(tmp_path: Path) -> None:
    file = tmp_path / "x"
    replace_file(file, b"one")
    replace_file(file, b"two")
    assert file.read_bytes() == b"two"
    assert list(tmp_path.iterdir()) == [file]


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EROFS, errno.EACCES, errno.EIO])
def test_a_refusing_disk_leaves_the_old_file_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    file = tmp_path / "x"
    replace_file(file, b"old")

    def refuse(_: int) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "fsync", refuse)
    with pytest.raises(IsobenchError, match=os.strerror(number)) as caught:
        replace_file(file, b"new")
    assert caught.value.hint
    assert caught.value.exit_code == 2
    assert file.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [file]


def test_an_interrupt_leaves_nothing_either(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(_: int) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "fsync", interrupt)
    with pytest.raises(KeyboardInterrupt):
        replace_file(tmp_path / "x", b"new")
    assert list(tmp_path.iterdir()) == []


def test_leftovers_of_a_killed_writer_go(tmp_path: Path) -> None:
    (tmp_path / ".trials.parquet.123.partial").write_bytes(b"half")
    (tmp_path / "mine.partial").write_bytes(b"kept")
    remove_partials(tmp_path)
    assert [file.name for file in tmp_path.iterdir()] == ["mine.partial"]


def test_a_directory_is_made_once_and_a_refusal_is_explained(tmp_path: Path) -> None:
    assert make_directory(make_directory(tmp_path / "x")).is_dir()
    with pytest.raises(IsobenchError, match=r"cannot write .*/no/x"):
        make_directory(tmp_path / "no" / "x")


def test_only_a_regular_file_is_read(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"content")
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "endless").symlink_to("/dev/zero")
    assert content_of(tmp_path / "file") == b"content"
    for name in ("pipe", "endless"):
        with pytest.raises(OSError, match="not a regular file"):
            content_of(tmp_path / name)
