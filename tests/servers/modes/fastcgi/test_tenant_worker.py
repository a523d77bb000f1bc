"""The talk between a front and a tenant's worker, and what a hostile worker can make of it."""

import os
import socket
import struct
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from servers.interpreter.child import ANSWERED, FAILED, REFUSED, message
from servers.interpreter.embedded import Embedded, OutputTooLarge, ScriptFailed
from servers.modes.fastcgi.tenant_worker import NotServed, ask, serve

LIMIT = 1000
ENVIRONMENT = {b"QUERY_STRING": b"", b"HTTP_X": b"a = b; \xff", b"HTTP_Y": b"\0QUERY_STRING\0b"}


@pytest.fixture
def channel() -> Iterator[tuple[socket.socket, socket.socket]]:
    front, worker = socket.socketpair()
    with front, worker:
        yield front, worker


def answer_from(channel: tuple[socket.socket, socket.socket], said: bytes) -> bytes:
    """Return the output that a front gets from a worker that says this, and ends."""
    front, worker = channel
    worker.sendall(said)
    worker.shutdown(socket.SHUT_WR)
    return ask(front.fileno(), ENVIRONMENT, b"", LIMIT).output()


@pytest.mark.parametrize(
    ("said", "error"),
    [
        pytest.param(b"", ScriptFailed, id="nothing"),
        pytest.param(b"A", ScriptFailed, id="half a head"),
        pytest.param(message(ANSWERED, b"output")[:-1], ScriptFailed, id="half an answer"),
        pytest.param(message(ANSWERED, b"output") + b"more", ScriptFailed, id="more than one"),
        pytest.param(message(ANSWERED, bytes(LIMIT + 1)), OutputTooLarge, id="too long"),
        pytest.param(
            struct.pack("<cQQ", b"A", 2**64 - 1, 2**64 - 1), OutputTooLarge, id="far too long"
        ),
        pytest.param(message(b"?", b""), ScriptFailed, id="unknown kind"),
        pytest.param(message(FAILED, b"why\xff" * 100), ScriptFailed, id="failed"),
        pytest.param(message(REFUSED, b"\2" + bytes(7)), FileNotFoundError, id="refused"),
        pytest.param(message(REFUSED, b"\xff" * 500), OSError, id="unknown errno"),
        pytest.param(message(REFUSED, b""), OSError, id="no errno"),
    ],
)
def test_bad_answers(
    channel: tuple[socket.socket, socket.socket], said: bytes, error: type[Exception]
) -> None:
    with pytest.raises(error) as raised:
        answer_from(channel, said)
    assert len(str(raised.value)) <= 200


def test_good_answer(channel: tuple[socket.socket, socket.socket]) -> None:
    assert answer_from(channel, message(ANSWERED, bytes(LIMIT))) == bytes(LIMIT)


def test_a_worker_that_is_gone_before_has_not_served(
    channel: tuple[socket.socket, socket.socket],
) -> None:
    front, worker = channel
    worker.close()
    with pytest.raises(NotServed):
        ask(front.fileno(), ENVIRONMENT, b"", LIMIT)


def test_a_worker_that_goes_without_having_read_has_not_served(
    channel: tuple[socket.socket, socket.socket],
) -> None:
    front, worker = channel
    threading.Timer(0.1, worker.close).start()
    with pytest.raises(NotServed):
        ask(front.fileno(), ENVIRONMENT, b"", LIMIT)


# The worker's side, in a process of its own

ECHO = """
import os, sys
body = sys.stdin.buffer.read()
print("Content-Type: text/plain\\n")
print(os.environ["HTTP_X"] == "a = b; \\udcff", os.environ["QUERY_STRING"] == "", end=" ")
print(len(body), os.getcwd())
"""


@pytest.fixture
def worker(tmp_path: Path) -> Iterator[Callable[[str, bytes], bytes]]:
    """A worker; calling it writes a script and returns what it prints."""
    ours, theirs = socket.socketpair()
    process = os.fork()
    if process == 0:
        ours.close()
        try:
            serve(theirs.fileno(), Embedded(100_000))
        finally:
            os._exit(7)
    theirs.close()
    path = tmp_path / "a.py"

    def run(source: str, body: bytes = b"") -> bytes:
        path.write_text(source)
        os.utime(path, ns=(0, len(source)))
        environment = {
            **ENVIRONMENT,
            b"DOCUMENT_ROOT": os.fsencode(tmp_path),
            b"SCRIPT_FILENAME": os.fsencode(path),
            b"SERVER_NAME": b"t0001",
        }
        return ask(ours.fileno(), environment, body, 100_000).output()

    with ours:
        yield run
    assert os.waitstatus_to_exitcode(os.waitpid(process, 0)[1]) == 7


def test_environment_and_body_arrive(worker: Callable[[str, bytes], bytes], tmp_path: Path) -> None:
    body = bytes(8 * 1024 * 1024)
    output = f"Content-Type: text/plain\n\nTrue True {len(body)} {tmp_path}\n".encode()
    assert worker(ECHO, body) == output
    assert worker(ECHO, body) == output


def test_a_failed_script_leaves_the_worker_in_service(worker: Callable[[str], bytes]) -> None:
    with pytest.raises(ScriptFailed, match="ZeroDivisionError"):
        worker("1 / 0")
    with pytest.raises(ScriptFailed, match="more than 100000 bytes"):
        worker("print('x' * 200_000)")
    assert worker("print(1)") == b"1\n"


def test_a_worker_without_a_standard_stream_ends_after_its_answer(
    worker: Callable[[str], bytes],
) -> None:
    assert worker("import os; os.close(1); print(1)") == b"1\n"
    with pytest.raises(NotServed):
        worker("print(2)")
