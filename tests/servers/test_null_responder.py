"""The responder that does nothing: it answers what it was told to, and ends when it should."""

import json
import os
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from servers.null_responder import asked, read_answers
from tests.servers.live import PATIENCE, PYTHON, ROOT, WWW, needs_root

ASK = b"GET /hello.py HTTP/1.1\r\nHost: t0001\r\n\r\n"
POST = b"POST /upload.py HTTP/1.1\r\nHost: t0001\r\nContent-Length: 600000\r\n\r\n"
BODY = b"\r\n\r\n" * 150_000
ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
RECEIVED = b"HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\nreceived"


class Responder:
    """The process, and what a test asks of it."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        assert process.stdin
        assert process.stdout
        self.process, self._commands, self._words = process, process.stdin, process.stdout
        self.address = ("127.0.0.1", self._told()["port"])

    def connect(self) -> socket.socket:
        return socket.create_connection(self.address, PATIENCE)

    def usage(self) -> dict[str, Any]:
        self._commands.write("usage\n")
        self._commands.flush()
        return self._told()

    def _told(self) -> dict[str, Any]:
        told: dict[str, Any] = json.loads(self._words.readline())
        return told

    def end(self) -> int:
        self._commands.close()
        return self.process.wait(PATIENCE)


@contextmanager
def responding(directory: Path, connection: str, *arguments: str) -> Iterator[Responder]:
    entries = [(ASK, len(ASK), ANSWER), (POST, len(POST) + len(BODY), RECEIVED)]
    content = {
        "connection": connection,
        "answers": [
            {"head": head.decode(), "length": length, "answer": answer.decode()}
            for head, length, answer in entries
        ],
    }
    file = directory / "answers.json"
    file.write_text(json.dumps(content))
    with subprocess.Popen(
        [PYTHON, "-S", "-s", "-P", "-m", "servers.null_responder", "--answers", file, *arguments],
        env={"PYTHONPATH": str(ROOT)},
        cwd="/",
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            yield Responder(process)
        finally:
            process.kill()


@pytest.fixture(params=["close", "keep-alive"])
def responder(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Responder]:
    with responding(tmp_path, request.param) as responder:
        yield responder


def received(connection: socket.socket, length: int) -> bytes:
    data = b""
    while len(data) < length and (more := connection.recv(length - len(data))):
        data += more
    return data


def test_it_answers_and_counts(responder: Responder) -> None:
    for _ in range(3):
        with responder.connect() as connection:
            connection.sendall(ASK)
            assert received(connection, len(ANSWER)) == ANSWER
    usage = responder.usage()
    assert usage["served"] == 3
    assert usage["cpu_s"] > 0
    assert usage.keys() == {
        *("served", "processes_made", "cpu_s", "page_faults", "context_switches"),
    }


def test_it_takes_a_request_that_arrives_in_pieces(responder: Responder) -> None:
    with responder.connect() as connection:
        connection.sendall(POST[:20])
        connection.sendall(POST[20:])
        connection.sendall(BODY)
        assert received(connection, len(RECEIVED)) == RECEIVED


def test_what_it_was_not_told_it_does_not_answer(responder: Responder) -> None:
    with responder.connect() as connection:
        connection.sendall(b"GET /other HTTP/1.1\r\n\r\n")
        assert connection.recv(1) == b""
    with responder.connect() as connection:
        connection.shutdown(socket.SHUT_WR)
        assert connection.recv(1) == b""
    assert responder.usage()["served"] == 0


def test_it_ends_with_its_commands(responder: Responder) -> None:
    assert responder.end() == 0


def test_it_closes_each_connection_after_the_answer(tmp_path: Path) -> None:
    with responding(tmp_path, "close") as responder, responder.connect() as connection:
        connection.sendall(ASK)
        assert received(connection, len(ANSWER) + 1) == ANSWER


def test_it_keeps_many_connections(tmp_path: Path) -> None:
    with responding(tmp_path, "keep-alive") as responder:
        connections = [responder.connect() for _ in range(3)]
        for _ in range(2):
            for connection in connections:
                connection.sendall(ASK)
            for connection in connections:
                assert received(connection, len(ANSWER)) == ANSWER
        connections.pop().close()
        for connection in connections:
            connection.sendall(ASK)
            assert received(connection, len(ANSWER)) == ANSWER
            connection.close()
        assert responder.usage()["served"] == 8


def test_a_client_that_says_nothing_does_not_stop_it(tmp_path: Path) -> None:
    with (
        responding(tmp_path, "close") as responder,
        responder.connect(),
        responder.connect() as connection,
    ):
        connection.sendall(ASK)
        assert received(connection, len(ANSWER)) == ANSWER


@needs_root
def test_it_gives_up_its_privileges(tmp_path: Path) -> None:
    cpu = min(os.sched_getaffinity(0))
    arguments = ("--www", f"{WWW.uid}:{WWW.gid}", "--cpus", str(cpu))
    with responding(tmp_path, "close", *arguments) as responder:
        status = Path(f"/proc/{responder.process.pid}/status").read_text()
        assert f"Uid:\t{WWW.uid}\t{WWW.uid}\t{WWW.uid}\t{WWW.uid}\n" in status
        assert f"Gid:\t{WWW.gid}\t{WWW.gid}\t{WWW.gid}\t{WWW.gid}\n" in status
        assert "Groups:\t \n" in status
        assert os.sched_getaffinity(responder.process.pid) == {cpu}


def test_the_file_says_whether_connections_are_kept() -> None:
    text = '{"connection": "keep-alive", "answers": [{"head": "a", "length": 1, "answer": "é"}]}'
    assert read_answers(text) == (True, {b"a": (1, b"\xe9")})


@pytest.mark.parametrize("connection", ["close", "keep-alive"])
def test_a_head_without_an_end_is_not_held(tmp_path: Path, connection: str) -> None:
    with responding(tmp_path, connection) as responder:
        with responder.connect() as client, pytest.raises(ConnectionError):
            client.sendall(b"x" * 64 * 1024 * 1024)
        with responder.connect() as client:
            client.sendall(ASK)
            assert client.recv(1000) == ANSWER
        assert responder.end() == 0


def test_the_same_request_with_another_head_gets_the_same_answer(responder: Responder) -> None:
    head = POST.replace(b"Host: t0001\r\n", b"User-Agent: x\r\nAccept: */*\r\nhost:t0001 \r\n")
    for _ in range(2):
        with responder.connect() as client:
            client.sendall(head + BODY)
            assert client.recv(1000) == RECEIVED


def test_a_request_of_another_host_is_not_the_same(responder: Responder) -> None:
    with responder.connect() as client:
        client.sendall(ASK.replace(b"t0001", b"t0002"))
        assert client.recv(1000) == b""


@pytest.mark.parametrize(
    ("head", "same"),
    [
        (b"GET /hello.py HTTP/1.1\r\nHOST:  t0001\r\nX-Host: t0002\r\n\r\n", True),
        (b"GET /hello.py HTTP/1.1\r\n\r\n", False),
        (b"GET /hello.py HTTP/1.1\r\nHost: t0001\r\nHost: t0001\r\n\r\n", False),
        (b"POST /hello.py HTTP/1.1\r\nHost: t0001\r\n\r\n", False),
    ],
)
def test_a_request_is_its_first_line_and_its_host(head: bytes, same: bool) -> None:
    assert (asked(head) == asked(ASK)) == same
