"""The client whose connections say for whom they are."""

import socket
import struct
import threading
from collections.abc import Iterator

import pytest

from workloads import credential
from workloads.catalog import Connection
from workloads.credential import Stamper
from workloads.load.clients.client import ConnectionFailed
from workloads.load.clients.stamped_client import StampedClient
from workloads.proof import Identity

pytestmark = pytest.mark.skipif(
    credential.obstacle() is not None, reason="only who has CAP_NET_RAW can stamp"
)

FIRST = b"GET / HTTP/1.1\r\nHost: t0001.localhost\r\n\r\n"
SECOND = b"GET / HTTP/1.1\r\nHost: t0002.localhost\r\n\r\n"
SENDERS = {FIRST: Identity(47001, 47001), SECOND: Identity(47002, 47002)}
TCP_SAVE_SYN, TCP_SAVED_SYN = 27, 28  # linux/tcp.h
UID = slice(24, 28)  # of a packet whose IP header ends with the credential


class Listener:
    """Answers every request with 200, and notes the uid in each connection's first packet."""

    def __init__(self) -> None:
        self.uids: list[int] = []
        self._listener = socket.socket()
        self._listener.setsockopt(socket.IPPROTO_TCP, TCP_SAVE_SYN, 1)
        self._listener.bind(("127.0.0.1", 0))
        self._listener.listen()
        self.port: int = self._listener.getsockname()[1]
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def _serve(self) -> None:
        while True:
            connection, _ = self._listener.accept()
            with connection:
                packet = connection.getsockopt(socket.IPPROTO_TCP, TCP_SAVED_SYN, 120)
                if len(packet) < 80:  # without a credential: the test is over
                    return
                self.uids += struct.unpack("!I", packet[UID])
                while connection.recv(65536):
                    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")

    def close(self) -> None:
        socket.create_connection(("127.0.0.1", self.port)).close()
        self._thread.join()
        self._listener.close()


@pytest.fixture
def listener() -> Iterator[Listener]:
    listener = Listener()
    yield listener
    listener.close()


def client_of(port: int, connection: Connection = "keep-alive") -> StampedClient:
    stamper = Stamper(bytes(32), "127.0.0.1", port)
    return StampedClient("127.0.0.1", port, stamper=stamper, senders=SENDERS, connection=connection)


def test_a_connection_is_kept_for_as_long_as_the_sender_is_the_same(listener: Listener) -> None:
    with client_of(listener.port) as client:
        for request in (FIRST, FIRST, SECOND, SECOND, SECOND, FIRST):
            assert client.exchange(request).status == 200
        assert client.connections == 3
    assert listener.uids == [47001, 47002, 47001]


def test_each_connection_is_stamped(listener: Listener) -> None:
    with client_of(listener.port, "close") as client:
        for request in (FIRST, FIRST, SECOND):
            assert client.exchange(request).status == 200
    assert listener.uids == [47001, 47001, 47002]


def test_what_it_cannot_stamp_it_does_not_send(
    listener: Listener, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(22, "Invalid argument")

    monkeypatch.setattr(Stamper, "stamp", refuse)
    with client_of(listener.port) as client, pytest.raises(ConnectionFailed):
        client.exchange(FIRST)
    assert listener.uids == []
