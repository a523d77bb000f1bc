"""Who starts a scene's servers: at a terminal, with a key, one after the other."""

import json
import os
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest

from harness.attack.seats.operator import Operator, Terminal
from harness.host import proc
from harness.target.line_process import Process
from tests.harness.live import needs_root

TELLS = """
import json, os, sys
terminal = os.open("/dev/tty", os.O_RDWR)
print(json.dumps({
    "leads": os.getsid(0) == os.getpid(),
    "terminal": os.ttyname(terminal),
    "environment": dict(os.environ),
    "open": sorted(set(map(int, os.listdir("/proc/self/fd"))) - {terminal}),
    "arguments": sys.argv[1:],
    "directory": os.getcwd(),
}))
"""


@pytest.fixture(name="terminal")
def _terminal() -> Iterator[Terminal]:
    with Terminal() as terminal:
        yield terminal


@pytest.fixture(name="operator")
def _operator() -> Iterator[Operator]:
    with Operator() as operator:
        yield operator


@contextmanager
def started(
    operator: Operator, terminal: Terminal, statements: str, log: Path
) -> Iterator[Process]:
    """Start a program that executes statements, and prints how long that took at last."""
    command = ["python", "-P", "-m", "timeit", "-n1", "-r1", statements]
    with log.open("w") as stderr:
        start = operator.at(terminal, "the operator's word")
        process = start(command, env={"WORD": "planted"}, stderr=stderr, cwd="/")
    assert process.stdin is not None
    assert process.stdout is not None
    with process.stdin, process.stdout:
        yield process


def told(process: Process) -> Any:
    assert process.stdout is not None
    return json.loads(process.stdout.readline())


def test_a_program_is_started_as_by_an_operator_at_the_terminal(
    operator: Operator, terminal: Terminal, tmp_path: Path
) -> None:
    with started(operator, terminal, TELLS, tmp_path / "log") as process:
        found = told(process)
        assert process.wait(30) == 0
        assert found["leads"]
        assert found["terminal"] == "/dev/tty"
        assert found["environment"] == {"WORD": "planted"}
        # The fourth is that of the listing itself.
        assert found["open"] in ([0, 1, 2], [0, 1, 2, 3], [0, 1, 2, 4])
        assert found["arguments"] == ["-n1", "-r1", TELLS]
        assert found["directory"] == "/"


@pytest.mark.parametrize(
    ("statements", "status"),
    [
        ("import os; os._exit(3)", 3),
        ("import os; os.kill(os.getpid(), 9)", -signal.SIGKILL),
        ("import os; os._exit(0)", 0),
    ],
)
def test_it_is_told_how_a_program_has_ended(
    operator: Operator, terminal: Terminal, tmp_path: Path, statements: str, status: int
) -> None:
    for _ in range(2):
        with started(operator, terminal, statements, tmp_path / "log") as process:
            assert (process.wait(30), process.poll()) == (status, status)
            process.kill()  # of nobody


def test_what_a_program_says_of_its_failure_is_in_its_log(
    operator: Operator, terminal: Terminal, tmp_path: Path
) -> None:
    with started(operator, terminal, "raise ValueError(7)", tmp_path / "log") as process:
        assert process.wait(30) == 1
        assert "ValueError: 7" in (tmp_path / "log").read_text()


LEAVES = """
import ctypes, json, os
c = ctypes.CDLL(None, use_errno=True)
made = [c.shmget({key}, 4096, 0o1600), c.semget({key}, 1, 0o1600), c.msgget({key}, 0o1600)]
made.append(c.mq_open(b"/isobench-left-{key}", os.O_CREAT | os.O_RDWR, 0o600, None))
for place in ("/dev/shm", "/tmp", "/var/tmp"):
    open(place + "/isobench-left-{key}", "w").close()
print(json.dumps(min(made) >= 0))
"""
PLACES = [Path(place) for place in ("/dev/shm", "/dev/mqueue", "/tmp", "/var/tmp")]


@needs_root
def test_what_a_program_leaves_is_not_on_the_real_host(
    operator: Operator, terminal: Terminal, tmp_path: Path
) -> None:
    key = 0x18000000 + os.getpid() % 0xFFFF
    with started(operator, terminal, LEAVES.format(key=key), tmp_path / "log") as process:
        assert told(process)
        assert process.wait(30) == 0
    kinds = [Path("/proc/sysvipc", kind).read_text() for kind in ("shm", "sem", "msg")]
    assert not [kind for kind in kinds if f" {key} " in kind]
    left = [place / f"isobench-left-{key}" for place in PLACES]
    assert not any(path.exists() for path in left)
    assert all(operator.host.path(path).exists() for path in left if path.parts[2] != "mqueue")
    assert operator.host.take_segment(key)
    assert not operator.host.take_segment(key)


@needs_root
def test_what_servers_need_is_seen_in_places_for_temporary_files(
    terminal: Terminal, tmp_path: Path
) -> None:
    with TemporaryDirectory(dir="/dev/shm", prefix="isobench-test-") as name:
        statements = f"import json, os; print(json.dumps(os.listdir('{name}')))"
        Path(name, "word").touch()
        for visible, seen in (([Path(name)], True), ([], False)):
            with (
                Operator(visible) as operator,
                started(operator, terminal, statements, tmp_path / "log") as process,
            ):
                assert process.wait(30) == (0 if seen else 1)
                assert not seen or told(process) == ["word"]


def test_a_program_lives_until_its_standard_input_ends(
    operator: Operator, terminal: Terminal, tmp_path: Path
) -> None:
    with started(operator, terminal, "import sys; sys.stdin.read()", tmp_path / "log") as process:
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(0.01)
        assert process.poll() is None
        assert proc.look(process.pid) is not None
        assert process.stdin is not None
        process.stdin.close()
        assert process.wait(30) == 0


def test_a_program_that_does_not_listen_is_killed(
    operator: Operator, terminal: Terminal, tmp_path: Path
) -> None:
    with started(operator, terminal, "import time; time.sleep(60)", tmp_path / "log") as process:
        process.kill()
        assert process.wait(30) == -signal.SIGKILL


def test_where_the_starter_was_killed_there_is_another_one(
    operator: Operator, terminal: Terminal, tmp_path: Path
) -> None:
    with started(operator, terminal, "import sys; sys.stdin.read()", tmp_path / "log") as process:
        starter = proc.look(process.pid)
        assert starter is not None
        os.kill(starter.parent, signal.SIGKILL)
        assert process.wait(30) == -signal.SIGKILL  # nobody knows better
        assert process.stdin is not None
        process.stdin.close()
        with started(operator, terminal, TELLS, tmp_path / "log") as again:
            assert told(again)["leads"]
            assert again.wait(30) == 0


def test_an_operator_that_leaves_leaves_no_process(terminal: Terminal, tmp_path: Path) -> None:
    waits = "import sys; sys.stdin.read()"
    with Operator() as operator:
        with started(operator, terminal, waits, tmp_path / "log") as process:
            starter = proc.look(process.pid)
            assert starter is not None
            assert proc.look(starter.parent) is not None
        process.wait(30)
    assert proc.look(starter.parent) is None
