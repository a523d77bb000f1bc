"""Requests by hand, and all that comes back."""

import socket
import threading
from pathlib import Path

from harness.attack.visitors import raw_http
from harness.attack.visitors.raw_http import Reply, first_of, request, rest_of
from workloads.tenants import Tenant

TENANT = Tenant("t0001", 47_001, 47_001, Path("/nowhere"))
ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"


def served(data: bytes, close: bool = True) -> socket.socket:
    """Return a connection on which this comes."""
    ours, theirs = socket.socketpair()
    ours.settimeout(5)
    theirs.sendall(data)
    if close:
        theirs.close()
    else:
        threading.Timer(2, theirs.close).start()
    return ours


def test_an_answer_has_a_status_and_a_body() -> None:
    with served(ANSWER) as connection:
        reply = rest_of(connection)
    assert (reply.status, reply.body) == (200, b"hello")


def test_no_answer_has_the_status_0() -> None:
    assert Reply().status == 0
    with served(b"") as connection:
        assert rest_of(connection) == Reply()


def test_what_follows_an_answer_comes_as_well() -> None:
    with served(ANSWER + b"more") as connection:
        assert rest_of(connection).raw == ANSWER + b"more"


def test_a_connection_that_stays_open_does_not_hold_us_up() -> None:
    with served(ANSWER, close=False) as connection:
        assert rest_of(connection).raw == ANSWER


def test_what_comes_behind_an_answer_is_told_apart() -> None:
    with served(ANSWER + b"HTTP/1.1 404") as connection:
        first, behind = first_of(connection)
    assert (first.raw, behind) == (ANSWER, b"HTTP/1.1 404")


def test_a_request_names_the_tenant() -> None:
    lines = request(TENANT, "/x.py?y", {"X-Planted": "z"}).decode().split("\r\n")
    assert lines[0] == "GET /x.py?y HTTP/1.1"
    assert {"Host: t0001.localhost", "X-Planted: z", "Connection: close"} <= set(lines)


def test_an_answer_in_chunks_ends_with_the_last_of_them() -> None:
    head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    assert raw_http._end_of_first(head + b"2\r\nok\r\n") == 0
    whole = head + b"2\r\nok\r\n0\r\n\r\n"
    assert raw_http._end_of_first(whole) == len(whole)
