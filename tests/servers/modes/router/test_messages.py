"""Messages between a front and a worker, and what is none."""

import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from servers.modes.router import messages
from servers.modes.router.messages import MOST_INSIDE, Answered, Asked, Malformed

Ends = tuple[socket.socket, socket.socket]


@pytest.fixture(name="ends")
def _ends() -> Iterator[Ends]:
    front, worker = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with front, worker:
        yield front, worker


def descriptors() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


@pytest.mark.parametrize("size", [0, 1, MOST_INSIDE, MOST_INSIDE + 1, 3 * MOST_INSIDE])
def test_contents_of_any_size_arrive(ends: Ends, size: int) -> None:
    front, worker = ends
    before = descriptors()
    asked = Asked(7, ("127.0.0.1", 65535), 80, os.urandom(size))
    messages.ask(front, asked)
    assert messages.take_request(worker) == asked
    answered = Answered(2**32 - 1, True, os.urandom(size), True)
    messages.answer(worker, answered)
    assert messages.take_answer(front, 3 * MOST_INSIDE) == answered
    assert descriptors() == before


def test_the_end_is_no_message(ends: Ends) -> None:
    front, worker = ends
    worker.close()
    assert messages.take_answer(front, 1) is None
    again, other = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with again, other:
        messages.ask(again, Asked(1, ("127.0.0.1", 1), 1, b"x"))
        other.close()
        with pytest.raises(ConnectionResetError):  # it was not read
            messages.take_answer(again, 1)


@pytest.mark.parametrize(
    "message",
    [b"x", b"A", b"Axxxx", b"Q\1\0\0\0\0", b"\xff" * 100, b"a\1\0\0\0\0", bytes(70_000)],
)
def test_nonsense_is_malformed(ends: Ends, message: bytes) -> None:
    front, worker = ends
    worker.send(message)
    with pytest.raises(Malformed):
        messages.take_answer(front, 100)


@pytest.mark.parametrize(
    ("kind", "seals", "size"),
    [
        pytest.param(b"a", 0, 10, id="not sealed"),
        pytest.param(b"a", 0x8, 10, id="can be shortened"),
        pytest.param(b"a", 0xF, 101, id="too long"),
        pytest.param(b"A", 0xF, 10, id="inside and beside"),
        pytest.param(b"a", -1, 10, id="no file in memory"),
    ],
)
def test_files_that_could_harm_the_reader_are_malformed(
    ends: Ends, kind: bytes, seals: int, size: int
) -> None:
    import fcntl

    front, worker = ends
    before = descriptors()
    file = os.open("/dev/null", os.O_RDONLY)
    if seals >= 0:
        os.close(file)
        file = os.memfd_create("answer", os.MFD_ALLOW_SEALING)
        os.truncate(file, size)
        fcntl.fcntl(file, fcntl.F_ADD_SEALS, seals)
    socket.send_fds(worker, [kind + bytes(4) + b"\1"], [file])
    os.close(file)
    with pytest.raises(Malformed):
        messages.take_answer(front, 100)
    assert descriptors() == before
