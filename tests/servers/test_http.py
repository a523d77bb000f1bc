"""Requests in, responses out: bytes and values, no sockets."""

import pytest

from servers.http import BadRequest, Request, RequestParser, Response, plain_response, render

HEAD = b"GET /hello.py?a=1 HTTP/1.1\r\nHost: t0001\r\n"
LIMIT = 1000


def parser() -> RequestParser:
    return RequestParser(head_limit=LIMIT, body_limit=LIMIT)


def parse(data: bytes) -> list[Request]:
    return list(parser().feed(data))


def test_a_request_has_its_parts() -> None:
    (request,) = parse(HEAD + b"X-Y:  z \r\n\r\n")
    assert (request.method, request.target, request.version) == (b"GET", b"/hello.py?a=1", "1.1")
    assert request.headers == [(b"Host", b"t0001"), (b"X-Y", b"z ")]
    assert (request.host, request.body, request.keep_alive) == (b"t0001", b"", True)


def test_bytes_may_arrive_one_by_one() -> None:
    data = b"POST /x.py HTTP/1.1\r\nHost: t\r\nContent-Length: 3\r\n\r\nabc"
    one = parser()
    found = [request for byte in data for request in one.feed(bytes([byte]))]
    assert [(request.target, request.body) for request in found] == [(b"/x.py", b"abc")]


def test_chunked_body_is_put_together() -> None:
    head = b"POST /x.py HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\n\r\n"
    (request,) = parse(head + b"2\r\nab\r\n1\r\nc\r\n0\r\n\r\n")
    assert request.body == b"abc"


def test_pipelined_requests_keep_their_order() -> None:
    data = b"".join(b"GET /%d HTTP/1.1\r\nHost: t\r\n\r\n" % number for number in range(3))
    assert [request.target for request in parse(data)] == [b"/0", b"/1", b"/2"]


@pytest.mark.parametrize(
    ("line", "keep_alive"),
    [
        (b"GET / HTTP/1.1\r\n", True),
        (b"GET / HTTP/1.1\r\nConnection: close\r\n", False),
        (b"GET / HTTP/1.0\r\n", False),
        (b"GET / HTTP/1.0\r\nConnection: keep-alive\r\n", True),
    ],
)
def test_keep_alive(line: bytes, keep_alive: bool) -> None:
    (request,) = parse(line + b"Host: t\r\n\r\n")
    assert request.keep_alive is keep_alive


@pytest.mark.parametrize(
    ("data", "status"),
    [
        (b"nonsense\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\n\r\n", 400),
        (HEAD + b"Host: other\r\n\r\n", 400),
        (HEAD + b"Upgrade: h2c\r\nConnection: Upgrade\r\n\r\n", 501),
        (b"GET /" + b"a" * 9000, 414),
        (HEAD + b"X: " + b"a" * LIMIT, 431),
        (HEAD + b"X: " + b"a" * LIMIT + b"\r\n\r\n", 431),
        (HEAD + b"X: a\r\n" * LIMIT + b"\r\n", 431),
        (b"POST / HTTP/1.1\r\nHost: t\r\nContent-Length: 1001\r\n\r\n", 413),
        (
            b"POST / HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\n\r\n"
            b"3e9\r\n" + b"a" * 1001,
            413,
        ),
    ],
)
def test_bad_requests_carry_their_status(data: bytes, status: int) -> None:
    with pytest.raises(BadRequest) as refusal:
        parse(data)
    assert refusal.value.status == status


def test_good_requests_come_before_the_refusal_of_the_next() -> None:
    requests = parser().feed(HEAD + b"\r\n" + b"nonsense\r\n\r\n")
    assert next(requests).target == b"/hello.py?a=1"
    with pytest.raises(BadRequest):
        next(requests)


def test_body_does_not_count_as_head() -> None:
    size = LIMIT - 10
    body = b"a" * size
    (request,) = parse(b"POST / HTTP/1.1\r\nHost: t\r\nContent-Length: %d\r\n\r\n" % size + body)
    assert request.body == body


def test_state_between_requests() -> None:
    one = parser()
    pieces = (HEAD, b"Expect: 100-continue\r\nContent-Length: 1\r\n\r\n", b"x")
    seen = [(len(list(one.feed(piece))), one.mid_message, one.expects_continue) for piece in pieces]
    assert seen == [(0, True, False), (0, True, True), (1, False, False)]


def lines_of(response: Response, keep_alive: bool = True, head_only: bool = False) -> list[bytes]:
    return render(response, keep_alive, head_only).split(b"\r\n")


def test_rendered_response() -> None:
    status, kind, connection, date, length, blank, body = lines_of(plain_response(404, "no"))
    assert status == b"HTTP/1.1 404 Not Found"
    assert kind == b"Content-Type: text/plain; charset=utf-8"
    assert connection == b"Connection: keep-alive"
    assert date.startswith(b"Date: ")
    assert date.endswith(b" GMT")
    assert (length, blank, body) == (b"Content-Length: 3", b"", b"no\n")


def test_what_the_server_decides_is_not_the_scripts_to_say() -> None:
    headers = ((b"Connection", b"x"), (b"Content-Length", b"9"), (b"transfer-encoding", b"chunked"))
    rendered = lines_of(Response(200, headers, b"ab"), keep_alive=False)
    assert [line for line in rendered if line.lower().startswith((b"con", b"tra"))] == [
        b"Connection: close",
        b"Content-Length: 2",
    ]


def test_head_and_empty_statuses_have_no_body() -> None:
    assert lines_of(Response(200, (), b"body"), head_only=True)[-3:] == [
        b"Content-Length: 4", b"", b"",
    ]  # fmt: skip
    for status in (204, 304):
        rendered = render(Response(status, (), b"body"), keep_alive=True)
        assert b"Content-Length" not in rendered
        assert rendered.endswith(b"\r\n\r\n")


def test_status_without_a_known_reason() -> None:
    assert render(Response(299, (), b""), keep_alive=True).startswith(b"HTTP/1.1 299 Unknown\r\n")
