"""Responses out: what stands on the wire."""

import http

from servers.http import Response, options_response, plain_response, render, responses
from servers.http.reasons import REASONS


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


def test_head_has_the_length_of_get_or_none() -> None:
    said = ((b"Content-Type", b"a/b"), (b"Content-Length", b"1000"))
    ends = [
        lines_of(Response(200, headers, body), head_only=True)[-3:]
        for headers, body in ((said, b""), (said, b"four"), (said[:1], b"four"))
    ]
    assert ends == [[b"Content-Length: %d" % size, b"", b""] for size in (1000, 4, 4)]
    assert b"Content-Length" not in render(Response(200, said[:1], b""), True, head_only=True)
    assert b"Content-Length: 0\r\n" in render(Response(200, said, b""), True)


def test_reset_content_has_a_length_of_zero() -> None:
    for head_only in (False, True):
        rendered = render(Response(205, (), b"body"), True, head_only)
        assert rendered.endswith(b"\r\nContent-Length: 0\r\n\r\n")


def test_options_of_the_server() -> None:
    rendered = lines_of(options_response())
    assert rendered[:2] == [
        b"HTTP/1.1 200 OK",
        b"Allow: DELETE, GET, HEAD, OPTIONS, PATCH, POST, PUT, TRACE",
    ]
    assert rendered[-3:] == [b"Content-Length: 0", b"", b""]


# RFC 9110 has renamed these; Python follows from 3.13 on.
RENAMED = {413, 414, 416, 422}


def test_reasons_are_the_registered_ones() -> None:
    for status in http.HTTPStatus:
        if status >= 200 and status not in RENAMED:
            assert REASONS[status] == status.phrase.encode()
    assert {413, 414, 416, 422} <= REASONS.keys()


def test_a_scripts_own_reason_wins() -> None:
    assert lines_of(Response(409, (), b"", b"No Room"))[0] == b"HTTP/1.1 409 No Room"
    assert lines_of(Response(409, (), b""))[0] == b"HTTP/1.1 409 Conflict"


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


def test_the_heads_that_scripts_print_are_not_kept_without_an_end() -> None:
    for number in range(100):
        headers = ((b"X", b"%d" % number + b"x" * 500_000),)
        render(Response(200, headers, b""), keep_alive=True)
    assert responses._heads.size <= 256 * 1024
    assert sum(len(head) for head in responses._heads.values()) <= 256 * 1024
