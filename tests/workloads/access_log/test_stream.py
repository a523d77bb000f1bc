"""Files of lines, plain and compressed, and what is wrong with others."""

import gzip
import hashlib
import os
from pathlib import Path

import pytest

from workloads.access_log.stream import LONGEST_LINE, LogFile
from workloads.errors import WorkloadError

TEXT = b"one\ntwo\n" + b"x" * (3 * LONGEST_LINE) + b"\nthree"


def lines(path: Path) -> list[bytes]:
    with LogFile(path) as log:
        return list(log.lines())


@pytest.mark.parametrize("compressed", [False, True])
def test_lines_and_the_digest_of_the_file(tmp_path: Path, compressed: bool) -> None:
    path = tmp_path / "access.log"
    stored = gzip.compress(TEXT[:9]) + gzip.compress(TEXT[9:]) if compressed else TEXT
    path.write_bytes(stored)
    with LogFile(path) as log:
        found = list(log.lines())
        assert (log.sha256, log.length) == (hashlib.sha256(stored).hexdigest(), len(stored))
    assert found == [b"one\n", b"two\n", b"x" * LONGEST_LINE, b"three"]


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "is empty"),
        (b"\x7fELF\0\0\0", "is not a text file"),
        (b"BZh91AY", "compressed by bzip2"),
        (b"\xfd7zXZ\0", "compressed by xz"),
        (b"PK\x03\x04\0", "compressed by zip"),
        (gzip.compress(os.urandom(5000))[:-20], "damaged or cut short"),
        (b"\x1f\x8bnonsense, and no stream", "damaged or cut short"),
        (gzip.compress(b"text")[:-6] + b"\0" * 6, "damaged or cut short"),
    ],
    ids=("empty", "program", "bzip2", "xz", "zip", "cut short", "no gzip", "damaged"),
)
def test_what_cannot_be_read_is_refused(tmp_path: Path, content: bytes, reason: str) -> None:
    path = tmp_path / "access.log"
    path.write_bytes(content)
    with pytest.raises(WorkloadError, match=reason) as caught:
        lines(path)
    assert caught.value.hint


def test_a_file_that_is_not_there_or_is_a_directory_is_refused(tmp_path: Path) -> None:
    with pytest.raises(WorkloadError, match="No such file"):
        lines(tmp_path / "none")
    with pytest.raises(WorkloadError, match="directory"):
        lines(tmp_path)


def test_little_gzip_that_unpacks_to_much_is_refused_early(tmp_path: Path) -> None:
    (tmp_path / "zeros.gz").write_bytes(gzip.compress(bytes(1 << 20)))
    with pytest.raises(WorkloadError, match="not a text file"), LogFile(tmp_path / "zeros.gz"):
        pass
    (tmp_path / "line.gz").write_bytes(gzip.compress(b"x" * (80 << 20), 1))
    with LogFile(tmp_path / "line.gz") as log, pytest.raises(WorkloadError, match="67,108,864"):
        list(log.lines())
