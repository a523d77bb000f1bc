"""What a probe is asked by others than isobench, and what answers in its place."""

import contextlib
import socket
import struct
import threading
from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from harness.target.remote_probe import ProbeFailed, RemoteProbe, serving

HOST = "127.0.0.1"
KEY = bytes(32)


@contextlib.contextmanager
def _answering(answer: bytes) -> Iterator[int]:
    """Provide the port of something that says the same to whoever connects."""
    with socket.create_server((HOST, 0)) as listener:

        def answer_one() -> None:
            client, _ = listener.accept()
            with client:
                client.recv(4096)
                client.sendall(answer)

        thread = threading.Thread(target=answer_one)
        thread.start()
        yield listener.getsockname()[1]
        thread.join()


@pytest.mark.parametrize(
    "body", [b"<h1>Not Found</h1>", b"\xff", b"", b"3", b"[]", b"[" * 100_000, b'{"text": 3}']
)
def test_what_is_no_probe_is_named(body: bytes) -> None:
    head = b"HTTP/1.1 404 Not Found\r\nContent-Length: %d\r\n\r\n" % len(body)
    with _answering(head + body) as port, pytest.raises(ProbeFailed) as caught:
        RemoteProbe(HOST, port, KEY).about()
    assert caught.value.hint


def test_what_speaks_no_http_is_named() -> None:
    with _answering(b"SSH-2.0-OpenSSH_9.2\r\n") as port, pytest.raises(ProbeFailed) as caught:
        RemoteProbe(HOST, port, KEY).about()
    assert "no probe answers" in str(caught.value)


@pytest.mark.parametrize(
    "facts",
    [
        {"isobench": "9.9"},
        {"isobench": "9.9", "www": None, "tenants": [], "target": {}},
        {
            "isobench": "9.9",
            "www": {"uid": 1, "gid": 1, "groups": []},
            "tenants": [],
            "target": {"name": "dso", "colour": "green"},
        },
    ],
)
def test_the_answer_of_another_version_is_refused_by_its_version(facts: Mapping[str, Any]) -> None:
    with (
        serving(HOST, 0, KEY, {"/about": lambda: facts}) as port,
        pytest.raises(ProbeFailed, match=r"has isobench 9\.9") as caught,
    ):
        RemoteProbe(HOST, port, KEY).about()
    assert caught.value.hint == "install the same version of isobench on all hosts"


def test_a_client_that_says_nothing_keeps_no_other_waiting() -> None:
    with (
        serving(HOST, 0, KEY, {"/about": lambda: {"isobench": "9.9"}}) as port,
        socket.create_connection((HOST, port)),
        pytest.raises(ProbeFailed, match="isobench"),
    ):
        RemoteProbe(HOST, port, KEY).about()


def test_a_client_that_breaks_off_is_not_worth_a_word(capfd: pytest.CaptureFixture[str]) -> None:
    with serving(HOST, 0, KEY, {"/about": lambda: {"isobench": "9.9"}}) as port:
        for request in (b"", b"GET /about", b"GET /about HTTP/1.1\r\n\r\n", b"\x00\xff\r\n\r\n"):
            with socket.create_connection((HOST, port)) as client:
                client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                client.sendall(request)
        with pytest.raises(ProbeFailed, match="isobench"):
            RemoteProbe(HOST, port, KEY).about()
    assert capfd.readouterr() == ("", "")
