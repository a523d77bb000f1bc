"""The requests of the workloads, and the checks of their replies."""

import pytest

from workloads.catalog import SITES, UPLOAD, WORKLOADS, find, page_us
from workloads.errors import WorkloadError
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


@pytest.mark.parametrize(
    ("name", "microseconds", "usual_name"),
    [
        ("page:5ms", 5_000, "page:5ms"),
        ("page:200us", 200, "page:200us"),
        ("page:0.05s", 50_000, "page:50ms"),
        ("page:1.5ms", 1_500, "page:1500us"),
        ("page:2000ms", 2_000_000, "page:2s"),
    ],
)
def test_a_page_takes_as_long_as_its_name_says(
    name: str, microseconds: int, usual_name: str
) -> None:
    workload = find(name)
    assert (workload.name, page_us(name)) == (usual_name, microseconds)
    assert workload.path == f"/page.py?us={microseconds}"


@pytest.mark.parametrize("name", ["page", "page:", "page:5", "page:-5ms", "page:49us", "page:11s"])
def test_a_page_of_no_time_is_refused_with_an_example(name: str) -> None:
    with pytest.raises(WorkloadError, match="the CPU time in") as refused:
        find(name)
    assert "page:5ms" in refused.value.hint


def test_a_page_of_another_length_of_work_is_a_wrong_reply() -> None:
    short, long = find("page:5ms"), find("page:6ms")
    answer = short.expects("t0001")
    body = LINE + answer.head + b"." * ((answer.length or 0) - len(answer.head) - 8) + answer.tail
    assert short.check(OWNER)(200, body) is None
    assert long.check(OWNER)(200, body) is not None


def test_what_is_no_page_has_no_time() -> None:
    assert page_us("hello") is None
    with pytest.raises(WorkloadError, match="unknown workload 'pages:5ms'"):
        find("pages:5ms")
