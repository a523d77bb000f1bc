"""Whole, broken and malicious replies, in pieces of any size."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workloads.load.clients.reply import BrokenReply, Reply, ReplyParser

PLAIN = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nhel\r\n2\r\nlo\r\n0\r\n\r\n"
OPEN_ENDED = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n\r\nhello"


@pytest.fixture
def parser() -> ReplyParser:
    return ReplyParser(max_bytes=1000)


@given(st.sampled_from([PLAIN, CHUNKED]), st.data())
def test_a_reply_in_any_two_pieces(data: bytes, cut: st.DataObject) -> None:
    parser = ReplyParser(max_bytes=1000)
    at = cut.draw(st.integers(1, len(data) - 1))
    assert parser.feed(data[:at]) is None
    assert parser.feed(data[at:]) == Reply(200, b"hello", keep_alive=True)


def test_one_reply_after_the_other(parser: ReplyParser) -> None:
    for _ in range(3):
        parser.begin()
        assert parser.feed(PLAIN) == Reply(200, b"hello", keep_alive=True)


def test_a_server_that_says_close(parser: ReplyParser) -> None:
    reply = parser.feed(b"HTTP/1.1 404 Not Found\r\nConnection: close\r\nContent-Length: 0\r\n\r\n")
    assert reply == Reply(404, b"", keep_alive=False)
    parser.connected()
    assert parser.feed(PLAIN) is not None


def test_a_body_that_ends_with_the_connection(parser: ReplyParser) -> None:
    assert parser.feed(OPEN_ENDED) is None
    assert parser.end() == Reply(200, b"hello", keep_alive=False)


def test_an_interim_reply_is_not_the_reply(parser: ReplyParser) -> None:
    assert parser.feed(b"HTTP/1.1 100 Continue\r\n\r\n") is None
    assert parser.feed(PLAIN) == Reply(200, b"hello", keep_alive=True)


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "without a reply"),
        (PLAIN[:20], "in the middle of the headers"),
        (PLAIN[:-1], "in the middle of the body"),
        (CHUNKED[:-5], "in the middle of the body"),
    ],
)
def test_replies_that_end_too_soon(parser: ReplyParser, data: bytes, reason: str) -> None:
    if data:
        assert parser.feed(data) is None
    with pytest.raises(BrokenReply, match=reason):
        parser.end()


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"SSH-2.0-OpenSSH_9.2\r\n", "not HTTP"),
        (PLAIN + PLAIN, "more than one reply"),
        (PLAIN + PLAIN[:10], "more than one reply"),
        (PLAIN.replace(b"5", b"5000") + b"x" * 1000, "longer than 1000 bytes"),
        (b"HTTP/1.1 200 OK\r\nX: " + b"x" * 1000, "longer than 1000 bytes"),
    ],
)
def test_replies_that_no_server_should_send(parser: ReplyParser, data: bytes, reason: str) -> None:
    with pytest.raises(BrokenReply, match=reason):
        parser.feed(data)
