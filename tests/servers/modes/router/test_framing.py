"""Where the front says that a request ends, the server's own parser says so as well."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from servers.http import BadRequest, Request, RequestParser
from servers.modes.router.framing import Frame, canonical, frame
from tests.servers.test_fuzzing import streams

HEAD_LIMIT, BODY_LIMIT = 300, 200
PLAIN = b"GET /a.py HTTP/1.1\r\nHost: t\r\n\r\n"
FIELDS = [
    *(b"Host: t\r\n", b"host:t\r\n", b"HOST: \tt:80 \r\n", b"Host: t@u\r\n", b"Host:\r\n"),
    *(b"Host : t\r\n", b" Host: t\r\n", b"X-Host: t\r\n", b"X: Host: t\r\n", b"X:\r\n"),
    *(b"Connection: close\r\n", b"connection: Keep-Alive\r\n", b"Connection: close, x\r\n"),
    *(b"Connection:\r\n", b"Connection : close\r\n", b"Proxy-Connection: close\r\n"),
    *(b"Content-Length: 3\r\n", b"Content-Length : 3\r\n", b"Transfer-Encoding:\r\n"),
    *(b"Transfer-Encoding : chunked\r\n", b"Expect: 100-continue\r\n", b"Upgrade: h2c\r\n"),
    *(b"X: a\r\n b\r\n", b"X: a\nHost: u\r\n", b"X: a\rb\r\n", b"X: \0\r\n", b": x\r\n", b"x\r\n"),
]
first_lines = st.sampled_from(
    [
        *(b"GET /a.py HTTP/1.1\r\n", b"HEAD /a HTTP/1.1\r\n", b"GET / HTTP/1.0\r\n"),
        *(b"GET /a b HTTP/1.1\r\n", b"GET /\xff HTTP/1.1\r\n", b"HEAD http://u/ HTTP/1.1\r\n"),
        *(b"GET /  HTTP/1.1\r\n", b"GET /#x HTTP/1.1\r\n", b"HEAD  HTTP/1.1\r\n"),
        *(b"GET / HTTP/1.1 \r\n", b"GET /\r\n HTTP/1.1\r\n", b"\r\nGET / HTTP/1.1\r\n"),
    ]
)
heads = st.tuples(
    first_lines, st.lists(st.sampled_from(FIELDS), max_size=5), st.sampled_from([b"", PLAIN, b"x"])
).map(lambda parts: parts[0] + b"".join(parts[1]) + b"\r\n" + parts[2])


def parsed(data: bytes) -> Request | None:
    """Return the one request that the server's parser finds, None where it refuses."""
    try:
        (request,) = RequestParser(HEAD_LIMIT, BODY_LIMIT).feed(data)
    except BadRequest:
        return None
    return request


@given(st.one_of(heads, streams))
@example(PLAIN)
@example(b"HEAD /a HTTP/1.1\r\nHost: t\r\nConnection: close\r\n\r\n")
def test_what_the_front_frames_the_parser_frames_alike_or_refuses(data: bytes) -> None:
    framed = frame(data, HEAD_LIMIT)
    if framed is None:
        return
    request = parsed(data[: framed.end])
    if request is not None:
        head_only = request.method == b"HEAD"
        assert framed == (framed.end, request.host, request.keep_alive, head_only)
        assert request.body == b""


@given(st.one_of(heads, streams))
def test_a_request_written_anew_is_the_same_request(data: bytes) -> None:
    try:
        requests = list(RequestParser(HEAD_LIMIT, BODY_LIMIT).feed(data))
    except BadRequest:
        return
    for request in requests:
        (again,) = RequestParser(2 * HEAD_LIMIT, BODY_LIMIT).feed(canonical(request))
        for name in ("method", "target", "version", "host", "body", "keep_alive"):
            assert getattr(again, name) == getattr(request, name), name
        assert b"chunked" not in canonical(request).partition(b"\r\n\r\n")[0].lower()


@pytest.mark.parametrize(
    ("data", "framed"),
    [
        (PLAIN, Frame(len(PLAIN), b"t", True, False)),
        (PLAIN + b"GET /next", Frame(len(PLAIN), b"t", True, False)),
        (
            PLAIN.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"),
            Frame(50, b"t", False, False),
        ),
        (PLAIN.replace(b"GET", b"HEAD"), Frame(len(PLAIN) + 1, b"t", True, True)),
    ],
)
def test_a_plain_request_is_framed_at_once(data: bytes, framed: Frame) -> None:
    assert frame(data, HEAD_LIMIT) == framed


@pytest.mark.parametrize("field", [field for field in FIELDS[2:] if not field.startswith(b"X:\r")])
def test_what_could_be_read_in_two_ways_is_not_plain(field: bytes) -> None:
    """Another Host, length, coding, folding, or line end: the parser has to look at it."""
    framed = frame(PLAIN[:-2] + field + b"\r\n", HEAD_LIMIT)
    harmless = (b"X-Host", b"X: Host", b"Proxy", b"Upgrade", b"Connection: close\r", b": x", b"x\r")
    if not field.startswith((*harmless, b"connection", b"Connection :", b"Host :")):
        assert framed is None
