"""Requests in, responses out: bytes and values, no sockets."""

import pytest

from servers.http import (
    BadRequest,
    Request,
    RequestParser,
)

HEAD = b"GET /hello.py?a=1 HTTP/1.1\r\nHost: t0001\r\n"
LIMIT = 1000


def parser() -> RequestParser:
    return RequestParser(head_limit=LIMIT, body_limit=LIMIT)


def parse(data: bytes) -> list[Request]:
    return list(parser().feed(data))


def test_a_request_has_its_parts() -> None:
    (request,) = parse(HEAD + b"X-Y:  z \r\n\r\n")
    assert (request.method, request.target, request.version) == (b"GET", b"/hello.py?a=1", "1.1")
    assert request.headers == [(b"Host", b"t0001"), (b"X-Y", b"z")]
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


def refused(data: bytes) -> int:
    """Return the status of the refusal, the same for all at once and byte by byte; 0 for none."""
    found = []
    for pieces in ([data], [bytes([byte]) for byte in data]):
        one = parser()
        try:
            for piece in pieces:
                list(one.feed(piece))
            found.append(0)
        except BadRequest as refusal:
            found.append(refusal.status)
    assert found[0] == found[1]
    return found[0]


@pytest.mark.parametrize(
    ("line", "status"),
    [
        (b"GET / HTTP/1.2", 505),
        (b"GET / HTTP/2.0", 505),
        (b"GET / HTTP/0.9", 505),
        (b"GET / HTTP/9.9", 505),
        (b"PRI * HTTP/2.0", 400),
        (b"GET /", 400),
        (b"GET", 400),
        (b"", 400),
        (b"GET  / HTTP/1.1", 400),
        (b"GET / HTTP/1.1 ", 400),
        (b" GET / HTTP/1.1", 400),
        (b"GET\t/\tHTTP/1.1", 400),
        (b"GET / HTTP/1.10", 400),
        (b"GET / HTTP/11", 400),
        (b"GET / http/1.1", 400),
        (b"GET / RTSP/1.0", 400),
        (b"GET / ICE/1.0", 400),
        (b"SOURCE / ICE/1.0", 400),
        (b"G\0ET / HTTP/1.1", 400),
        (b"G(ET / HTTP/1.1", 400),
        (b"A" * 33 + b" / HTTP/1.1", 501),
        (b"CONNECT t:80 HTTP/1.1", 501),
        (b"CONNECT / HTTP/1.1", 501),
        (b"GET hello.py HTTP/1.1", 400),
        (b"GET t:80 HTTP/1.1", 400),
        (b"GET * HTTP/1.1", 400),
        (b"OPTIONS *x HTTP/1.1", 400),
        (b"GET /#fragment HTTP/1.1", 400),
        (b"GET /\xff HTTP/1.1", 400),
        (b"GET /\x7f HTTP/1.1", 400),
        (b"GET /a\rb HTTP/1.1", 400),
        (b"GET /a\nb HTTP/1.1", 400),
        (b"GET http:///hello.py HTTP/1.1", 400),
        (b"GET http://:80/ HTTP/1.1", 400),
        (b"GET http:/t/ HTTP/1.1", 400),
        (b"GET http://user@t/ HTTP/1.1", 400),
        (b"GET http://user:word@t/ HTTP/1.1", 400),
        (b"GET http://t:abc/ HTTP/1.1", 400),
        (b"GET http://t:65536/ HTTP/1.1", 400),
        (b"GET http://[::1/ HTTP/1.1", 400),
        (b"GET http://t/#fragment HTTP/1.1", 400),
        (b"GET ftp://t/ HTTP/1.1", 400),
        (b"GET urn:t HTTP/1.1", 400),
        (b"GET https://t/ HTTP/1.1", 421),
        (b"GET HTTPS://t/ HTTP/1.1", 421),
        (b"GET /%zz/%0?%%& HTTP/1.1", 0),
    ],
)
def test_request_lines(line: bytes, status: int) -> None:
    assert refused(line + b"\r\nHost: t\r\n\r\n") == status


@pytest.mark.parametrize(
    ("line", "target", "host"),
    [
        (b"GET http://other/a?b", b"/a?b", b"other"),
        (b"GET HTTP://Other:80/", b"/", b"Other:80"),
        (b"GET http://other", b"/", b"other"),
        (b"GET http://other?a/b", b"/?a/b", b"other"),
        (b"GET http://other/a?http://b/", b"/a?http://b/", b"other"),
        (b"GET http://[::1]:8080/a", b"/a", b"[::1]:8080"),
        (b"GET //other/a", b"//other/a", b"t"),
        (b"GET /http://other/", b"/http://other/", b"t"),
        (b"OPTIONS *", b"*", b"t"),
        (b"OPTIONS http://other", b"*", b"other"),
        (b"OPTIONS http://other/", b"/", b"other"),
    ],
)
def test_absolute_form_wins_over_the_host_header(line: bytes, target: bytes, host: bytes) -> None:
    (request,) = parse(line + b" HTTP/1.1\r\nX: y\r\nHost: t\r\n\r\n")
    assert (request.target, request.host) == (target, host)
    assert request.headers == [(b"X", b"y"), (b"Host", host)]


def test_a_host_is_needed_from_http_1_1_on() -> None:
    (request,) = parse(b"GET /a HTTP/1.0\r\n\r\n")
    assert (request.host, request.headers) == (b"", [])
    (request,) = parse(b"GET http://t/a HTTP/1.0\r\n\r\n")
    assert (request.host, request.headers) == (b"t", [(b"Host", b"t")])
    assert refused(b"GET http://t/a HTTP/1.1\r\n\r\n") == 400
    assert refused(b"GET http://t/a HTTP/1.1\r\nHost: t@u\r\n\r\n") == 400


@pytest.mark.parametrize(
    "method", [b"PATCH", b"PROPFIND", b"QUERY", b"get", b"M-SEARCH", b"PRI", b"X!", b"DESCRIBE"]
)
def test_any_method_is_the_scripts_to_answer(method: bytes) -> None:
    data = method + b" / HTTP/1.1\r\nHost: t\r\nContent-Length: 2\r\n\r\nab"
    first, second = parse(data + data)
    assert (first.method, first.body) == (second.method, second.body) == (method, b"ab")


@pytest.mark.parametrize(
    ("fields", "status"),
    [
        (b"Host: t@evil\r\n", 400),
        (b"Host: t\r\nHost: t\r\n", 400),
        (b"Host: t, u\r\n", 400),
        (b"Host:\r\n", 0),
        (b"Host: t \t\r\n", 0),
        (b"HOST: T.\r\n", 0),
        (b"Host : t\r\n", 400),
        (b" Host: t\r\n", 400),
        (b"Host: t\r\nX : y\r\n", 400),
        (b"Host: t\r\nX\r\n", 400),
        (b"Host: t\r\n: y\r\n", 400),
        (b"Host: t\r\nX Y: z\r\n", 400),
        (b"Host: t\r\nX: y\r\n folded\r\n", 400),
        (b"Host: t\r\nX: a\rb\r\n", 400),
        (b"Host: t\r\nX: a\nb\r\n", 400),
        (b"Host: t\r\nX: a\0b\r\n", 400),
        (b"Host: t\r\nX: a\x7fb\r\n", 400),
        (b"Host: t\nX: y\r\n", 400),
        (b"Host: t\r\nX:\r\nY: \xe9\t \r\n", 0),
        (b"Host: t\r\nTransfer-Encoding: gzip\r\n", 400),
        (b"Host: t\r\nTransfer-Encoding: chunked, gzip\r\n", 400),
        (b"Host: t\r\nTransfer-Encoding: chunked, chunked\r\n", 400),
        (b"Host: t\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n", 400),
        (b"Host: t\r\nTransfer-Encoding: identity\r\n", 400),
        (b"Host: t\r\nTransfer-Encoding: xchunked\r\n", 400),
        (b"Host: t\r\nTransfer-Encoding: \x0bchunked\r\n", 400),
        (b"Host: t\r\nTransfer-Encoding:\r\n", 400),
        (b"Host: t\r\nTransfer-Encoding: chunked\t\r\n", 400),
        (b"Host: t\r\nTransfer-Encoding: ,chunked,\r\n", 400),
        (b"Host: t\r\nTransfer-Encoding: chunked;x=y\r\n", 400),
        (b"Host: t\r\nTransfer-Encoding: gzip, chunked\r\n", 501),
        (b"Host: t\r\nTransfer-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n", 501),
        (b"Host: t\r\nTransfer-Encoding: chunked\r\nContent-Length: 1\r\n", 400),
        (b"Host: t\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n", 400),
        (b"Host: t\r\nContent-Length: 0\r\nTransfer-Encoding: chunked\r\n", 400),
        (b"Host: t\r\nContent-Length: 1\r\nContent-Length: 2\r\n", 400),
        (b"Host: t\r\nContent-Length: 1, 1\r\n", 400),
        (b"Host: t\r\nContent-Length: 1, 2\r\n", 400),
        (b"Host: t\r\nContent-Length: +1\r\n", 400),
        (b"Host: t\r\nContent-Length: -1\r\n", 400),
        (b"Host: t\r\nContent-Length: 0x1\r\n", 400),
        (b"Host: t\r\nContent-Length: 1_0\r\n", 400),
        (b"Host: t\r\nContent-Length:\r\n", 400),
        (b"Host: t\r\nContent-Length: " + b"9" * 40 + b"\r\n", 400),
        (b"Host: t\r\nContent-Length: 0\r\n", 0),
        (b"Host: t\r\nExpect: other\r\n", 417),
        (b"Host: t\r\nExpect: 100-continue, other\r\n", 417),
        (b"Host: t\r\nExpect: 100-Continue\r\n", 0),
    ],
)
def test_fields(fields: bytes, status: int) -> None:
    assert refused(b"POST / HTTP/1.1\r\n" + fields + b"\r\n") == status


def test_http_1_0_knows_neither_chunks_nor_expectations() -> None:
    head = b"POST / HTTP/1.0\r\nHost: t\r\n"
    assert refused(head + b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n") == 400
    assert refused(head + b"Expect: other\r\n\r\n") == 0
    one = parser()
    list(one.feed(head + b"Expect: 100-continue\r\nContent-Length: 1\r\n\r\n"))
    assert not one.expects_continue


@pytest.mark.parametrize(
    ("fields", "pieces", "expects"),
    [
        (b"Content-Length: 1\r\n", [b""], True),
        (b"Transfer-Encoding: chunked\r\n", [b""], True),
        (b"Content-Length: 2\r\n", [b"a"], False),
        (b"Content-Length: 2\r\n", [b"", b"a"], False),
        (b"Content-Length: 0\r\n", [b""], False),
        (b"", [b""], False),
    ],
)
def test_an_interim_response_is_for_a_body_that_is_awaited(
    fields: bytes, pieces: list[bytes], expects: bool
) -> None:
    one = parser()
    head = b"POST / HTTP/1.1\r\nHost: t\r\nExpect: 100-continue \r\n" + fields + b"\r\n"
    for piece in (head + pieces[0], *pieces[1:]):
        list(one.feed(piece))
    assert one.expects_continue is expects


@pytest.mark.parametrize(
    ("offer", "body", "read"),
    [
        (b"Upgrade: h2c\r\nConnection: Upgrade, HTTP2-Settings\r\nHTTP2-Settings: A\r\n", b"", b""),
        (b"Upgrade: websocket\r\nConnection: upgrade\r\n", b"", b""),
        (b"Upgrade: h2c\r\nConnection: Upgrade\r\nContent-Length: 3\r\n", b"abc", b"abc"),
        (
            b"Transfer-Encoding: chunked\r\nUpgrade: h2c\r\nConnection: Upgrade\r\n",
            b"3\r\nabc\r\n0\r\n\r\n",
            b"abc",
        ),
    ],
)
def test_an_offer_to_upgrade_is_passed_over(offer: bytes, body: bytes, read: bytes) -> None:
    data = b"POST / HTTP/1.1\r\nHost: t\r\n" + offer + b"\r\n" + body
    assert refused(data) == 0
    first, second, third = parse(data + data + HEAD + b"\r\n")
    assert [first.body, second.body, third.target] == [read, read, b"/hello.py?a=1"]
    assert first.keep_alive


@pytest.mark.parametrize(
    ("version", "options", "keep_alive"),
    [
        (b"1.1", b"Connection: Close\r\n", False),
        (b"1.1", b"Connection: x, close\r\n", False),
        (b"1.1", b"Connection: x\r\nConnection: close\r\n", False),
        (b"1.1", b"Connection: keep-alive, close\r\n", False),
        (b"1.1", b"Connection: closed\r\n", True),
        (b"1.1", b"Connection:\r\n", True),
        (b"1.1", b"Proxy-Connection: close\r\n", True),
        (b"1.0", b"Connection: Keep-Alive\r\n", True),
        (b"1.0", b"Connection: keep-alive, close\r\n", False),
        (b"1.0", b"Connection: x\r\n", False),
        (b"1.0", b"Proxy-Connection: keep-alive\r\n", False),
    ],
)
def test_connection_options(version: bytes, options: bytes, keep_alive: bool) -> None:
    data = b"GET / HTTP/%b\r\nHost: t\r\n%b\r\n" % (version, options)
    requests = parse(data + data)
    assert [request.keep_alive for request in requests] == [keep_alive] * (2 if keep_alive else 1)


def test_what_follows_the_last_request_is_not_looked_at() -> None:
    one = parser()
    assert len(list(one.feed(HEAD + b"Connection: close\r\n\r\nnonsense\r\n\r\n"))) == 1
    assert list(one.feed(b"nonsense\r\n\r\n")) == []
    assert not one.mid_message


def test_some_empty_lines_may_come_before_a_request() -> None:
    assert len(parse((b"\r\n" * 10 + HEAD + b"\r\n") * 2)) == 2
    assert refused(b"\r\n" * 11) == 400
    one = parser()
    assert list(one.feed(b"\r\n")) == []
    assert not one.mid_message


ENDLESS = b"POST / HTTP/1.1\r\nHost: t\r\n"
CHUNKED = ENDLESS + b"Transfer-Encoding: chunked\r\n\r\n"


@pytest.mark.parametrize(
    ("start", "repeated", "status"),
    [
        (b"", b"\r\n", 400),
        (b"", b"A", 501),
        (b"GET /", b"a", 414),
        (b"GET http://t", b"a", 414),
        (b"GET / HTTP/1.1", b"1", 400),
        (ENDLESS, b"a", 431),
        (ENDLESS, b"X: y\r\n", 431),
        (ENDLESS + b"X:", b" ", 431),
        (ENDLESS + b"Content-Length: ", b"0", 431),
        (CHUNKED, b"0", 400),
        (CHUNKED + b"1", b" ", 431),
        (CHUNKED + b"1;", b"a", 431),
        (CHUNKED, b"1;a\r\nx\r\n", 431),
        (CHUNKED, b"1\r\nx\r\n", 413),
        (CHUNKED + b"fff", b"\r", 400),
        (CHUNKED + b"0\r\n", b"a", 431),
        (CHUNKED + b"0\r\n", b"X: y\r\n", 431),
        (CHUNKED + b"0\r\nX:", b"y", 431),
    ],
)
def test_nothing_goes_on_without_end(start: bytes, repeated: bytes, status: int) -> None:
    assert refused(start + repeated * 9000) == status


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"3\r\nabc\r\n0\r\nCookie: admin=1\r\nHost: other\r\n\r\n", 0),
        (b'3 ; a = "b;c" \r\nabc\r\n00;x\r\n\r\n', 0),
        (b"00000000000003\r\nabc\r\n0\r\n\r\n", 0),
        (b"3e8\r\n" + b"a" * LIMIT + b"\r\n0\r\n\r\n", 0),
        (b"3e9\r\n", 413),
        (b"ffffffffffffffff\r\n", 413),
        (b"1ffffffffffffffff\r\n", 400),
        (b"\r\n", 400),
        (b"3 \r\nabc\r\n", 400),
        (b" 3\r\nabc\r\n", 400),
        (b"0x3\r\nabc\r\n", 400),
        (b"+3\r\nabc\r\n", 400),
        (b"-3\r\nabc\r\n", 400),
        (b";x\r\nabc\r\n", 400),
        (b"3\nabc\r\n", 400),
        (b"3\r\nabcd\r\n", 400),
        (b"3\r\nabc0\r\n", 400),
        (b"3\r\nabc\n0\r\n", 400),
        (b"3;\0\r\nabc\r\n", 400),
        (b"0\r\nX\r\n\r\n", 400),
        (b"0\r\nX : y\r\n\r\n", 400),
        (b"0\r\nX: y\r\n folded\r\n\r\n", 400),
        (b"0\r\nX: a\rb\r\n\r\n", 400),
        (b"0\r\nX: a\nb\r\n\r\n", 400),
    ],
)
def test_chunks(body: bytes, status: int) -> None:
    assert refused(CHUNKED + body) == status


def test_trailers_are_not_merged_into_the_head() -> None:
    body = b"1\r\na\r\n0\r\nCookie: admin=1\r\nHost: other\r\n\r\n"
    first, second = parse((CHUNKED + body) * 2)
    for request in (first, second):
        assert (request.host, request.body) == (b"t", b"a")
        assert [name for name, _ in request.headers] == [b"Host", b"Transfer-Encoding"]


@pytest.mark.parametrize(
    ("data", "head_only"),
    [
        (b"HEAD / HTTP/1.1\r\nHost: t@u\r\n\r\n", True),
        (b"HEAD /# HTTP/1.1\r\n", True),
        (b"HEAD /" + b"a" * 9000, True),
        (b"HEAD / HTTP/2.0\r\n", True),
        (b"HEADS /# HTTP/1.1\r\n", False),
        (b"HEAD http://t@u/ HTTP/1.1\r\n", True),
        (b"HEAD / HTTP/1.1\r\nX: " + b"a" * LIMIT, True),
        (b"HEAD / HTTP/1.1\r\nHost: t\r\n\r\nGET / HTTP/1.1\r\n\r\n", False),
    ],
)
def test_a_refused_head_request_gets_no_body(data: bytes, head_only: bool) -> None:
    one = parser()
    with pytest.raises(BadRequest):
        list(one.feed(data))
    assert one.head_only is head_only


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
