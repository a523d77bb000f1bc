"""A process that is spoken to by lines: heard, missed when it is gone, and stopped."""

import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from harness.target.line_process import Gone, Silent, Speaking
from tests.harness.live import PATIENCE

ECHO = """
import json, os, sys
print("begun", file=sys.stderr, flush=True)
for line in sys.stdin:
    print(json.dumps({"heard": line.strip(), "at": os.getcwd(), **os.environ}), flush=True)
"""
STUBBORN = "import time; print('{}', flush=True)\nwhile True: time.sleep(1000)"


@contextmanager
def speaking(tmp_path: Path, program: str, cwd: str | None = None) -> Iterator[Speaking]:
    process = Speaking(
        [sys.executable, "-c", program], tmp_path / "log", environment={"A": "b"}, cwd=cwd
    )
    try:
        yield process
    finally:
        process.stop(PATIENCE)


def test_it_hears_and_answers_until_its_commands_end(tmp_path: Path) -> None:
    with speaking(tmp_path, ECHO, cwd="/") as process:
        process.tell("usage")
        heard = process.hear(PATIENCE)
    assert (heard["heard"], heard["at"], heard["A"]) == ("usage", "/", "b")
    assert process.last_words() == "begun"
    assert process.status() == 0
    assert not Path(f"/proc/{process.pid}").exists()


def test_one_that_is_gone_is_neither_told_nor_heard(tmp_path: Path) -> None:
    with speaking(tmp_path, ECHO) as process:
        process.kill()
        assert process.status() == -signal.SIGKILL
        with pytest.raises(Gone):
            process.hear(PATIENCE)
        with pytest.raises(Gone):
            process.tell("usage")


def test_one_that_does_not_listen_is_killed(tmp_path: Path) -> None:
    process = Speaking([sys.executable, "-c", STUBBORN], tmp_path / "log")
    assert process.hear(PATIENCE) == {}
    process.stop(0.0)
    assert process.status() == -signal.SIGKILL


def test_of_a_long_log_the_end_is_kept(tmp_path: Path) -> None:
    program = "import sys; sys.stderr.write('x' * 5000 + ' the end'); sys.stderr.flush(); input()"
    with speaking(tmp_path, program) as process:
        process.tell("")
        process.status()
    assert process.last_words().endswith("x the end")
    assert len(process.last_words()) < 5000


def test_its_log_is_for_its_owner_alone(tmp_path: Path) -> None:
    with speaking(tmp_path, ECHO):
        assert (tmp_path / "log").stat().st_mode & 0o777 == 0o600


def test_of_a_log_without_an_end_the_end_is_read(tmp_path: Path) -> None:
    """Scripts write to it as well, as much as they like: it need not fit into our memory."""
    with speaking(tmp_path, ECHO) as process:
        with (tmp_path / "log").open("r+b") as log:
            log.truncate(2**40)
            log.seek(0, 2)
            log.write(b"the end")
        assert process.last_words().endswith("the end")


def test_it_goes_on_at_the_end_of_its_log_whoever_empties_it(tmp_path: Path) -> None:
    with speaking(tmp_path, "import os\nfor word in iter(input, ''): os.write(2, b'x')") as process:
        process.tell("go on")
        os.truncate(tmp_path / "log", 0)
        process.tell("")
        process.status()
    assert (tmp_path / "log").stat().st_size <= 1


def test_one_that_is_silent_is_not_waited_for_without_an_end(tmp_path: Path) -> None:
    with speaking(tmp_path, ECHO) as process:
        process.tell("first")
        assert process.hear(PATIENCE)["heard"] == "first"
        os.kill(process.pid, signal.SIGSTOP)
        process.tell("second")
        with pytest.raises(Silent):
            process.hear(0.05)
        os.kill(process.pid, signal.SIGCONT)
        assert process.hear(PATIENCE)["heard"] == "second"


def test_words_that_come_at_once_are_heard_one_by_one(tmp_path: Path) -> None:
    program = "print('{\"a\": 1}\\n{\"a\": 2}\\n{\"a\":', flush=True, end=''); print(' 3}')"
    with speaking(tmp_path, program) as process:
        assert [process.hear(PATIENCE)["a"] for _ in range(3)] == [1, 2, 3]
        with pytest.raises(Gone):
            process.hear(PATIENCE)


@pytest.mark.parametrize(
    ("program", "fate"),
    [
        ("import os; os.kill(os.getpid(), 9)", "killed by SIGKILL"),
        ("raise SystemExit(128 + 9)", "killed by SIGKILL"),
        ("raise SystemExit(3)", "exit status 3"),
        ("raise SystemExit(255)", "exit status 255"),
    ],
)
def test_the_fate_of_one_that_is_gone_is_reported(tmp_path: Path, program: str, fate: str) -> None:
    with speaking(tmp_path, program) as process:
        assert process.fate() == fate


def test_one_that_lives_on_is_said_not_to_answer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("harness.target.line_process._END_S", 0.05)
    with speaking(tmp_path, ECHO) as process:
        assert process.fate() == "it does not answer"
