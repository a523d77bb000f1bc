"""The lean client against servers that behave, and against others."""

import gc
import socket
from collections.abc import Callable

import gevent
import pytest

from workloads.catalog import WORKLOADS
from workloads.load.clients.client import Client, ConnectionFailed, TimedOut
from workloads.load.clients.reply import BrokenReply, ExchangeFailed

PAGE = b"isobench tenant=t0001 uid=47001 gid=47001 groups=\nHello from t0001\n"
HELLO = WORKLOADS["hello"].request("t0001", "keep-alive")


def test_keep_alive_is_one_connection(stub: Callable[[str], int]) -> None:
    with Client("127.0.0.1", stub("hello")) as client:
        for _ in range(10):
            assert client.exchange(HELLO).body == PAGE
        assert (client.connections, client.retries) == (1, 0)


def test_close_is_a_connection_each(stub: Callable[[str], int]) -> None:
    with Client("127.0.0.1", stub("hello"), connection="close") as client:
        for _ in range(10):
            assert client.exchange(HELLO).body == PAGE
        assert client.connections == 10


@pytest.mark.parametrize("play", ["chunked", "until-close", "interim", "says-close"])
def test_every_way_to_frame_a_reply(stub: Callable[[str], int], play: str) -> None:
    with Client("127.0.0.1", stub(play)) as client:
        for _ in range(3):
            assert client.exchange(HELLO).body == PAGE
        assert client.retries == 0


def test_an_idle_connection_that_was_closed_is_replaced_once(stub: Callable[[str], int]) -> None:
    with Client("127.0.0.1", stub("closes-idle")) as client:
        for _ in range(3):
            assert client.exchange(HELLO).body == PAGE
            gevent.sleep(0.01)
        assert (client.connections, client.retries) == (3, 2)


@pytest.mark.parametrize(
    ("play", "kind", "reason"),
    [
        ("truncated", BrokenReply, "in the middle of the body"),
        ("not-http", BrokenReply, "not HTTP"),
        ("twice", BrokenReply, "more than one reply"),
        ("huge", BrokenReply, "longer than 100000 bytes"),
        ("reset", ConnectionFailed, "without a reply"),
        ("reset-midway", ExchangeFailed, "in the middle of the"),
        ("silent", TimedOut, r"within 0\.3 s"),
    ],
)
def test_failures_in_plain_words(
    stub: Callable[[str], int], play: str, kind: type[Exception], reason: str
) -> None:
    with Client("127.0.0.1", stub(play), timeout_s=0.3, max_reply_bytes=100_000) as client:
        for _ in range(2):  # the second time shows that the first left nothing behind
            with pytest.raises(kind, match=reason):
                client.exchange(HELLO)
        assert client.retries == 0


def test_nothing_listens() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    with (
        Client("127.0.0.1", port) as client,
        pytest.raises(ConnectionFailed, match="nothing listens at"),
    ):
        client.exchange(HELLO)


def test_a_large_request_goes_in_pieces(stub: Callable[[str], int]) -> None:
    body = b"x" * 8_000_000
    head = f"POST / HTTP/1.1\r\nHost: t0001.localhost\r\nContent-Length: {len(body)}\r\n\r\n"
    with Client("127.0.0.1", stub("hello")) as client:
        assert client.exchange(head.encode() + body).body == PAGE


def test_clients_do_not_wait_for_one_another(stub: Callable[[str], int]) -> None:
    silent, hello = stub("silent"), stub("hello")
    with Client("127.0.0.1", silent) as stuck, Client("127.0.0.1", hello) as quick:
        waiting = gevent.spawn(stuck.exchange, HELLO)
        answered = gevent.spawn(quick.exchange, HELLO)
        gevent.joinall([answered], timeout=5)
        assert answered.value.body == PAGE
        assert not waiting.ready()
        waiting.kill()  # a user stopped in the middle of a request
        with pytest.raises(ExchangeFailed):
            stuck.exchange(b"nonsense\r\n\r\n")


def test_exchanges_leave_nothing_to_the_garbage_collector(stub: Callable[[str], int]) -> None:
    with Client("127.0.0.1", stub("hello"), connection="close") as client:
        client.exchange(HELLO)
        gc.collect()
        gc.disable()
        try:
            for _ in range(200):
                client.exchange(HELLO)
            assert gc.collect() < 50
        finally:
            gc.enable()
