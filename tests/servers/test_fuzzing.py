"""Arbitrary bytes, arbitrarily cut: what the server reads of clients and of scripts.

`nox -s fuzz` goes on with these, and with every other property, for ten minutes.
"""

import contextlib
import sys
from itertools import pairwise
from typing import Any

from hypothesis import example, given
from hypothesis import strategies as st

from servers.http import BadRequest, Request, RequestParser, Response, render
from servers.http.authority import is_authority
from servers.interpreter.embedded import ScriptFailed, parse_output

HEAD_LIMIT, BODY_LIMIT = 300, 200

REQUEST_PARTS = [
    *(b"GET ", b"HEAD ", b"POST ", b"OPTIONS ", b"CONNECT ", b"QUERY ", b"PRI ", b"get "),
    *(b"/ ", b"/a.py?b=%41 ", b"* ", b"http://t/ ", b"http://t", b"https://t/ ", b"t:80 ", b"/#f "),
    *(b"HTTP/1.1", b"HTTP/1.0", b"HTTP/2.0", b"HTTP/9.9", b"RTSP/1.0"),
    *(b"\r\n", b"\r\n\r\n", b"\n", b"\r", b" ", b"\t", b"\0", b":", b",", b"\xff"),
    *(b"Host: t\r\n", b"Host: u:1\r\n", b"Host: t@u\r\n", b"Host: \r\n", b"Host: [::1]\r\n"),
    *(b"Content-Length: 3\r\n", b"Content-Length: 0\r\n", b"Content-Length: 999\r\n"),
    *(b"Transfer-Encoding: chunked\r\n", b"Transfer-Encoding: gzip, chunked\r\n"),
    *(b"Connection: close\r\n", b"Connection: Upgrade, keep-alive\r\n", b"Upgrade: h2c\r\n"),
    *(b"Expect: 100-continue\r\n", b"Expect: x\r\n", b"X: y \r\n", b"X : y\r\n", b" folded\r\n"),
    *(b"abc", b"3\r\nabc\r\n", b"3;x=y\r\nabc\r\n", b"0\r\n", b"0\r\n\r\n", b"0\r\nX: y\r\n\r\n"),
    *(b"000000000000000000", b"a" * 100, b"X: y\r\n" * 30, b"ff\r\n"),
]
GOOD_REQUESTS = [
    b"GET /a.py HTTP/1.1\r\nHost: t\r\n\r\n",
    b"HEAD http://t/a.py HTTP/1.1\r\nHost: u\r\nUpgrade: h2c\r\nConnection: upgrade\r\n\r\n",
    b"POST / HTTP/1.1\r\nHost: t\r\nContent-Length: 3\r\n\r\nabc",
    b"POST / HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\n\r\n"
    b"3;x\r\nabc\r\n0\r\nX: y\r\n\r\n",
    b"PUT / HTTP/1.1\r\nHost: t\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\nabc",
]
streams = st.lists(
    st.one_of(
        st.sampled_from(GOOD_REQUESTS), st.sampled_from(REQUEST_PARTS), st.binary(max_size=3)
    ),
    max_size=12,
).map(b"".join)
RESPONSE_PARTS = [
    *(b"Content-Type: a/b", b"Status: 404 Not Found", b"Status: 200", b"Status: 304", b"Status: x"),
    *(b"Location: /x", b"Location: http://x/", b"Content-Length: 3", b"Set-Cookie: a=b"),
    *(b"X-Y: z", b"\n", b"\n", b"\r\n", b"\n\n", b"\r\n\r\n", b"\r", b"\0", b":", b" ", b"body"),
]
outputs = st.lists(st.one_of(st.sampled_from(RESPONSE_PARTS), st.binary(max_size=3))).map(b"".join)


def cut(data: bytes, places: list[int]) -> list[bytes]:
    ends = sorted({0, len(data), *(place % (len(data) + 1) for place in places)})
    return [data[start:end] for start, end in pairwise(ends)]


def facts(request: Request) -> tuple[Any, ...]:
    return (
        *(request.method, request.target, request.version, request.host),
        *(request.headers, request.body, request.keep_alive),
    )


def outcome(pieces: list[bytes]) -> tuple[Any, ...]:
    """Return the requests in `pieces`, and how it ended: refused with what, or waiting for what."""
    parser = RequestParser(HEAD_LIMIT, BODY_LIMIT)
    found = []
    try:
        for piece in pieces:
            for request in parser.feed(piece):
                assert request.method
                assert is_authority(request.host)
                assert request.target == b"*" or request.target.startswith(b"/")
                assert len(request.body) <= BODY_LIMIT
                found.append(facts(request))
            assert held(parser) < 4 * (HEAD_LIMIT + BODY_LIMIT)
    except BadRequest as refusal:
        return found, refusal.status, parser.head_only
    return found, parser.mid_message, parser.head_only


def held(thing: object) -> int:
    """Return how many bytes of what came a parser holds on to."""
    if isinstance(thing, bytes):
        return len(thing)
    if isinstance(thing, list | tuple):
        return sum(map(held, thing))
    return sum(map(held, vars(thing).values())) if hasattr(thing, "__dict__") else 0


@given(streams, st.lists(st.integers(0, 10_000), max_size=8))
@example(b"".join(GOOD_REQUESTS), [*range(2000)])
def test_requests_are_the_same_however_they_are_cut(data: bytes, places: list[int]) -> None:
    expected = outcome([data])
    assert outcome(cut(data, places)) == expected
    assert outcome([data[place : place + 1] for place in range(len(data))]) == expected


@given(streams, st.sampled_from([part for part in REQUEST_PARTS if part]), st.booleans())
def test_no_client_is_listened_to_without_end(start: bytes, repeated: bytes, alone: bool) -> None:
    """Whatever is repeated: it is refused or makes requests, and soon."""
    parser = RequestParser(HEAD_LIMIT, BODY_LIMIT)
    with contextlib.suppress(BadRequest):
        list(parser.feed(start))
        since = 0
        while since < 20 * (HEAD_LIMIT + BODY_LIMIT):
            data = repeated if alone else repeated * 10
            since = 0 if list(parser.feed(data)) or parser._last else since + len(data)
            if not since:
                return
        raise AssertionError("it is still being read")


@given(outputs)
@example(b"Content-Type: a/b\n\nbody")
def test_what_a_script_prints_is_a_response_or_refused(output: bytes) -> None:
    try:
        response = parse_output(output)
    except ScriptFailed:
        return
    assert 200 <= response.status <= 599
    assert output.endswith(response.body)
    for head_only in (False, True):
        assert_is_one_response(response, head_only)


def assert_is_one_response(response: Response, head_only: bool) -> None:
    head, _, body = render(response, True, head_only).partition(b"\r\n\r\n")
    lines = head.split(b"\r\n")
    assert not any(mark in line for line in lines for mark in (b"\r", b"\n", b"\0"))
    lengths = [line for line in lines if line.lower().startswith(b"content-length:")]
    assert len(lengths) <= 1
    has_none = head_only or response.status in (204, 205, 304)
    assert body == (b"" if has_none else response.body)
    if not has_none:
        assert lengths == [b"Content-Length: %d" % len(body)]


def test_the_parser_forgets_a_request_that_it_has_handed_over() -> None:
    parser = RequestParser(HEAD_LIMIT, BODY_LIMIT)
    (request,) = parser.feed(GOOD_REQUESTS[3])
    assert held(parser) == 0
    assert sys.getrefcount(request) == 2
