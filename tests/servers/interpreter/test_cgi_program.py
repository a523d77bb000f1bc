"""A script as a program of its own, by either way of starting it."""

import os
import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from servers.interpreter.cgi_program import SPAWNERS, Program, Spawn
from servers.interpreter.embedded import OutputTooLarge, ScriptTimeout
from tests.servers.live import children

LIMIT = 100_000
ENVIRONMENT = {b"NAME": b"value \xff"}


@pytest.fixture(params=SPAWNERS)
def spawn(request: pytest.FixtureRequest) -> Iterator[Spawn]:
    """Each way of starting a program; afterwards no descriptor may be left open."""
    descriptors = Path("/proc/self/fd")
    before = sorted(descriptors.iterdir())
    yield SPAWNERS[request.param]
    assert sorted(descriptors.iterdir()) == before


def run(spawn: Spawn, shell: str, body: bytes = b"") -> tuple[bytes, int]:
    """Run a piece of shell; return its output and exit status."""
    program = Program(spawn, [b"/bin/sh", b"-c", shell.encode()], ENVIRONMENT, body)
    output = program.read_output(LIMIT)
    return output, program.finish(kill=False)


def test_output_and_status(spawn: Spawn) -> None:
    assert run(spawn, "echo hello; exit 3") == (b"hello\n", 3)


def test_environment_is_what_was_given(spawn: Spawn) -> None:
    output, _ = run(spawn, "exec env")
    variables = set(output.splitlines()) - {b"PWD=" + os.fsencode(Path.cwd())}
    assert variables - {b"_=/usr/bin/env", b"SHLVL=0"} == {b"NAME=value \xff"}


@pytest.mark.parametrize("size", [0, 1, 500_000])
def test_body_is_a_complete_standard_input(spawn: Spawn, size: int) -> None:
    assert int(run(spawn, "wc -c", bytes(size))[0]) == size


def test_body_need_not_be_read(spawn: Spawn) -> None:
    assert run(spawn, "exec <&-; echo done", bytes(500_000)) == (b"done\n", 0)


def test_program_inherits_three_descriptors(spawn: Spawn) -> None:
    """None of ours: those that pytest itself was given to inherit are not counted."""
    numbers = set(map(int, run(spawn, "exec ls /proc/self/fd")[0].split()))
    inheritable = {fd for fd in numbers if fd > 3 and os.get_inheritable(fd)}
    assert numbers - inheritable == {0, 1, 2, 3}  # 3 is the directory that ls reads


def test_program_leads_a_process_group(spawn: Spawn) -> None:
    pid, group = run(spawn, "exec cut -d' ' -f1,5 /proc/self/stat")[0].split()
    assert pid == group


def test_signals_are_as_a_program_expects(spawn: Spawn) -> None:
    output, _ = run(spawn, "exec grep SigIgn /proc/self/status")
    ignored = int(output.split()[1], 16)
    assert ignored & 1 << signal.SIGPIPE - 1 == 0
    assert ignored & 1 << signal.SIGXFSZ - 1 == 0


@pytest.mark.parametrize(
    ("path", "error"),
    [("/no/such/program", FileNotFoundError), ("/etc/passwd", PermissionError)],
)
def test_program_that_cannot_be_executed(spawn: Spawn, path: str, error: type[OSError]) -> None:
    before = children(os.getpid())  # of other tests
    with pytest.raises(error):
        Program(spawn, [path.encode()], {}, b"body")
    assert children(os.getpid()) == before


def test_missing_interpreter_is_like_a_missing_program(spawn: Spawn, tmp_path: Path) -> None:
    script = tmp_path / "script"
    script.write_text("#!/no/such/interpreter\n")
    script.chmod(0o755)
    with pytest.raises(FileNotFoundError):
        Program(spawn, [os.fsencode(script)], {}, b"")


def test_output_above_the_limit(spawn: Spawn) -> None:
    program = Program(spawn, [b"/bin/sh", b"-c", b"exec yes"], {}, b"")
    with pytest.raises(OutputTooLarge):
        program.read_output(LIMIT)
    assert program.finish(kill=True) in (-signal.SIGKILL, -signal.SIGPIPE)


@pytest.mark.parametrize(
    ("shell", "output"),
    [
        ("echo whole; sleep 1000 & echo $! >&2", b"whole\n"),
        ("echo whole; (sleep 0.2; echo more; exec sleep 1000) &", b"whole\nmore\n"),
        ("echo whole; (sleep 0.2; echo more) & wait", b"whole\nmore\n"),
        ("sleep 1.2; echo late", b"late\n"),
    ],
)
def test_output_ends_when_the_program_has_ended_and_others_are_silent(
    spawn: Spawn, shell: str, output: bytes
) -> None:
    program = Program(spawn, [b"/bin/sh", b"-c", shell.encode()], {}, b"")
    assert program.read_output(LIMIT) == output
    program.finish(kill=True)  # for the sake of the host


@pytest.mark.parametrize("ends", [True, False])
def test_time_limit_ends_the_output_of_a_program_that_has_ended(
    spawn: Spawn, monkeypatch: pytest.MonkeyPatch, ends: bool
) -> None:
    def interrupt(program: Program, chunks: list[bytes], _limit: int) -> None:
        chunks.append(os.read(program._output, 100))
        if ends:
            os.waitid(os.P_PID, program._process, os.WEXITED | os.WNOWAIT)
        raise ScriptTimeout

    monkeypatch.setattr(Program, "_read_chunks", interrupt)
    chatter = "while sleep 0.1; do echo more; done"
    shell = f"echo whole; ({chatter}) &" if ends else f"echo whole; {chatter}"
    program = Program(spawn, [b"/bin/sh", b"-c", shell.encode()], {}, b"")
    if ends:
        assert program.read_output(LIMIT) == b"whole\n"
    else:
        with pytest.raises(ScriptTimeout):
            program.read_output(LIMIT)
    program.finish(kill=True)


def test_kill_ends_all_that_the_program_started(spawn: Spawn) -> None:
    shell = b"sleep 1000 >/dev/null & echo $!; exec >&-; wait"
    program = Program(spawn, [b"/bin/sh", b"-c", shell], {}, b"")
    started = int(program.read_output(LIMIT))
    assert program.finish(kill=True) == -signal.SIGKILL
    deadline = time.monotonic() + 10
    while is_alive(started):
        assert time.monotonic() < deadline
        time.sleep(0.01)


def is_alive(pid: int) -> bool:
    """Return whether an orphan runs; when dead, somebody else may have to reap it yet."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().split()[2] not in "ZX"
    except OSError:
        return False


def test_embedding_interpreter_is_found_by_its_path(spawn: Spawn) -> None:
    program = Program(spawn, [os.fsencode(sys.executable), b"-IS", b"-c", b"print(1)"], {}, b"")
    assert program.read_output(LIMIT) == b"1\n"
    assert program.finish(kill=False) == 0
