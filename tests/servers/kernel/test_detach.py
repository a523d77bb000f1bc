"""Forked processes: none returns into its parent's code, and each says how it went."""

import errno
import os
import signal
from pathlib import Path

import pytest

from servers.kernel import detach
from tests.servers.forked import in_child


def ended(process: int) -> int:
    return os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])


def test_the_exit_status_is_what_the_work_returns() -> None:
    assert ended(detach.fork(lambda: 7)) == 7
    assert ended(detach.fork(lambda: None)) == 0


@pytest.mark.parametrize(
    "failure", [ValueError("no such luck"), SystemExit(0), KeyboardInterrupt()]
)
def test_whatever_the_work_raises_is_written_and_ends_the_process(
    failure: BaseException, capfd: pytest.CaptureFixture[str]
) -> None:
    def work() -> int:
        raise failure

    assert ended(detach.fork(work)) == 1
    assert type(failure).__name__ in capfd.readouterr().err


def test_a_forked_process_runs_no_cleanup_of_its_parent(tmp_path: Path) -> None:
    cleaned = tmp_path / "cleaned"

    def parent() -> bool:
        try:
            ended(detach.fork(lambda: 0))
            ended(detach.attempt(lambda: None))
            return cleaned.exists()
        finally:
            cleaned.touch()

    assert not in_child(parent)


@pytest.mark.parametrize(
    ("failure", "number"),
    [
        (PermissionError(errno.EPERM, "no"), errno.EPERM),
        (OSError("without a number"), errno.EIO),
        (ValueError("of another kind"), errno.EIO),
    ],
)
def test_an_attempt_tells_its_errno(failure: Exception, number: int) -> None:
    def work() -> None:
        raise failure

    assert detach.failure_of(detach.attempt(work)) == number
    assert detach.failure_of(detach.attempt(lambda: None)) == 0


def test_an_attempt_that_was_killed_tells_the_signal() -> None:
    process = detach.attempt(signal.pause)
    os.kill(process, signal.SIGKILL)
    assert detach.failure_of(process) == -signal.SIGKILL


def test_redirected_streams_read_nothing_and_reach_executed_programs() -> None:
    def inside() -> tuple[bytes, bool]:
        given, _ = os.pipe2(os.O_CLOEXEC)
        detach.redirect_to_null(given)
        return os.read(given, 1), os.get_inheritable(given)

    before = len([*Path("/proc/self/fd").iterdir()])
    assert in_child(inside) == (b"", True)
    detach.redirect_to_null()
    assert len([*Path("/proc/self/fd").iterdir()]) == before
