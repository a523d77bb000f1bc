"""One client, one request after the other, each answer checked."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from harness.profile.serial_client import SerialClient, WrongAnswer
from workloads.proof import Identity, proof_line

WHO = Identity(47001, 47001, ())
BODY = proof_line("t0001", WHO) + b"Hello from t0001\n"
STAMPS = b"\nisobench stamps 1 2 3\n"


@contextmanager
def answering(*bodies: bytes) -> Iterator[SerialClient]:
    """Provide a client of a server that answers with these bodies, then no more."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            for body in bodies:
                connection, _ = listener.accept()
                with connection:
                    connection.recv(65536)
                    head = f"HTTP/1.1 200 OK\r\nContent-Length: {len(body)}\r\n\r\n"
                    connection.sendall(head.encode() + body)

        thread = threading.Thread(target=serve)
        thread.start()
        yield SerialClient(
            {
                "host": "127.0.0.1",
                "port": listener.getsockname()[1],
                "workload": "hello",
                "connection": "close",
                "tenants": [{"name": "t0001", **vars(WHO)}],
            }
        )
        thread.join()


def test_an_answer_has_its_times_and_the_scripts_own() -> None:
    with answering(BODY + STAMPS, BODY) as client:
        first, second = client.ask(), client.ask()
    assert first.script == {"first line": 1, "imported": 2, "printed": 3}
    assert second.script == {}
    assert first.began < first.delivered < second.began < second.delivered


@pytest.mark.parametrize("body", [b"", b"something else\n", BODY.replace(b"47001", b"0")])
def test_a_wrong_answer_is_refused(body: bytes) -> None:
    with answering(body) as client, pytest.raises(WrongAnswer, match="t0001"):
        client.ask()


def test_no_answer_is_refused() -> None:
    with answering() as client:
        pass
    with pytest.raises(WrongAnswer, match="no answer from t0001"):
        client.ask()
