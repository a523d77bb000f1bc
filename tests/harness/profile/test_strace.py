"""What strace says, and what becomes of it."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from harness.profile.strace import counting, parsed
from tests.harness.live import until

SUMMARY = """\
% time     seconds  usecs/call     calls    errors syscall
------ ----------- ----------- --------- --------- ----------------
 62.50    0.000050           5        10         2 openat
 37.50    0.000030          15         2           close
------ ----------- ----------- --------- --------- ----------------
100.00    0.000080           6        12         2 total
"""


def test_a_summary_is_read_without_its_frame() -> None:
    assert parsed(SUMMARY) == {"openat": 10, "close": 2}


CODE = "import os; print(flush=True); input(); [os.getppid() for _ in range(7)]; input()"


def test_calls_of_a_living_process_are_counted(tmp_path: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-IS", "-c", CODE],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdout.readline()
        with counting([process.pid], tmp_path / "counts") as counts:
            process.stdin.write("go\n")
            process.stdin.flush()
            reads_again = Path(f"/proc/{process.pid}/wchan")
            until(lambda: "pipe" in reads_again.read_text() or not os.access(reads_again, os.R_OK))
        process.stdin.write("\n")
    assert counts["getppid"] == 7
    assert list(tmp_path.iterdir()) == []


def test_without_strace_there_are_no_counts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with counting([os.getpid()], tmp_path / "counts") as counts:
        pass
    assert counts == {}
