"""The requests of the workloads, and the checks of their replies."""

import pytest

from workloads.catalog import SITES, UPLOAD, WORKLOADS
from workloads.proof import Identity, Proof, proof_line

OWNER = Proof("t0001", Identity(47001, 47001))
LINE = proof_line("t0001", OWNER.identity)
HELLO = WORKLOADS["hello"]


def test_every_script_is_a_workload() -> None:
    assert {path.name for path in SITES.glob("*.py")} == {w.script for w in WORKLOADS.values()}


def test_each_script_is_a_template_with_both_marks() -> None:
    for workload in WORKLOADS.values():
        text = workload.source.read_text()
        assert text.startswith("#!@interpreter@\n")
        assert '\nTENANT = "@tenant@"\n' in text


def test_get_request() -> None:
    assert HELLO.request("t0007", "close") == (
        b"GET /hello.py HTTP/1.1\r\nHost: t0007.localhost\r\nUser-Agent: isobench\r\n"
        b"Accept: */*\r\nConnection: close\r\n\r\n"
    )


def test_post_request_carries_the_upload() -> None:
    head, _, body = WORKLOADS["upload"].request("t0007", "keep-alive").partition(b"\r\n\r\n")
    assert head.startswith(b"POST /upload.py HTTP/1.1\r\n")
    assert b"\r\nContent-Length: 65536" in head
    assert body == UPLOAD


def test_a_right_reply() -> None:
    assert HELLO.check(OWNER)(200, LINE + b"Hello from t0001\n") is None


@pytest.mark.parametrize(
    ("status", "body", "reason"),
    [
        (500, LINE + b"Hello from t0001\n", "status 500 instead of 200"),
        (200, b"", "the body does not begin with a proof line"),
        (200, LINE + b"Hello", "the body is 55 bytes long instead of 67"),
        (
            200,
            LINE + b"Hello from t0002\n",
            "after a right proof, the body does not begin as hello.py makes it",
        ),
        (
            200,
            proof_line("t0001", Identity(47000, 47000)) + b"Hello from t0001\n",
            "ran as uid 47000 (the server) instead of 47001; ran as gid 47000 instead of 47001",
        ),
    ],
)
def test_a_wrong_reply(status: int, body: bytes, reason: str) -> None:
    assert HELLO.check(OWNER, server=Identity(47000, 47000))(status, body) == reason


def test_a_page_cut_at_the_end() -> None:
    check = WORKLOADS["whoami"].check(OWNER)
    assert check(200, LINE + b'{"real": {}}\n') is None
    reason = check(200, LINE + b'{"real": {}')
    assert reason == "after a right proof, the body does not end as whoami.py makes it"
