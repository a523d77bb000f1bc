"""The short way of a plain request leads where the parser leads."""

from unittest import mock

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from servers.http import RequestParser, plain_request
from tests.servers.test_fuzzing import streams

HEAD = b"GET /hello.py?a=1 HTTP/1.1\r\nHost: t0001\r\n"
LIMIT = 1000

NAMES = (
    b"Host host Connection Accept X-Y Upgrade Content-Length Transfer-Encoding Expect Trailer "
    b"Proxy-Connection Keep-Alive TE HTTP2-Settings x\0"
).split(b" ")
VALUES = (
    b"t0001|close|Keep-Alive|close, x|0|3|chunked||t:80 |t@u|a\rb|a\nb|\x80|\0|100-continue|h2c"
)
fields = st.tuples(
    st.sampled_from([*NAMES, b"", b"A B", b" Folded"]),
    st.sampled_from([b": ", b":", b" : ", b":\t", b"", b"::"]),
    st.sampled_from(VALUES.split(b"|")),
).map(b"".join)
plain_heads = st.tuples(
    st.sampled_from(
        [b"GET /hello.py?a=1", b"HEAD /", b"GET /%20", b"POST /", b"GET x", b"GET /\xff"]
    ),
    st.sampled_from([b" HTTP/1.1", b" HTTP/1.0", b"  HTTP/1.1", b" HTTP/1.1 ", b" x HTTP/1.1"]),
    st.lists(fields, max_size=5),
    st.sampled_from([b"\r\n\r\n", b"\r\n\r\nx", b"\r\n", b"\n\n", b"\r\n\r\n\r\n"]),
).map(lambda parts: b"\r\n".join((parts[0] + parts[1], b"Host: t0001", *parts[2])) + parts[3])


@given(st.one_of(plain_heads, streams))
@example(HEAD + b"Connection: close\r\nAccept: */*\r\n\r\n")
@example(HEAD + b"Connection: Keep-Alive\r\n\r\n")
def test_a_plain_request_is_what_the_parser_makes_of_it(data: bytes) -> None:
    quick = plain_request(data, LIMIT, LIMIT - 64)
    if quick is None:
        return
    with mock.patch("servers.http.parser.plain_request", return_value=None):
        (parsed,) = RequestParser(LIMIT, LIMIT).feed(data)
    for name in ("method", "target", "version", "headers", "host", "body", "keep_alive"):
        assert getattr(quick, name) == getattr(parsed, name), name


@pytest.mark.parametrize(
    ("rest", "is_plain"),
    [
        (b"Connection: close\r\nUser-Agent: x\r\n", True),
        (b"Accept: */*\r\nCookie: a=b; c=d\r\n", True),
        (b"Content-Length: 0\r\n", False),
        (b"Connection: Upgrade\r\n", False),
        (b"Host: t0002\r\n", False),
        (b"X-Y : z\r\n", False),
        (b" folded\r\n", False),
    ],
)
def test_what_most_clients_send_takes_the_short_way(rest: bytes, is_plain: bool) -> None:
    quick = plain_request(HEAD + rest + b"\r\n", LIMIT, LIMIT)
    assert (quick is not None) is is_plain
