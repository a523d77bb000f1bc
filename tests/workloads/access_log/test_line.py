"""Lines of an access log: what is kept of them, and what is not."""

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workloads.access_log import line
from workloads.access_log.line import Entry, MalformedLine, parse
from workloads.access_log.synthetic import Visit
from workloads.access_log.synthetic import line as written

NOON = datetime(2026, 11, 28, 12, tzinfo=UTC)
SECOND = int(NOON.timestamp())

COMBINED = (
    b'192.0.2.7 - frank [28/Nov/2026:12:00:00 +0000] "GET /a?id=1 HTTP/1.0" 200 2326 '
    b'"http://www.example.com/start.html" "Mozilla/4.08 [en] (Win98; I ;Nav)"'
)


def test_a_combined_line() -> None:
    assert parse(COMBINED) == Entry(SECOND, None, b"GET", b"/a", 200)


@pytest.mark.parametrize(
    ("before", "host"),
    [
        (b"www.example.com:80 ", b"www.example.com"),
        (b"WWW.Example.com:443 ", b"www.example.com"),
        (b"www.example.com ", b"www.example.com"),
        (b"[2001:db8::1]:443 ", b"[2001:db8::1]"),
        (b"_default_:8080 ", b"_default_"),
    ],
)
def test_a_virtual_host_comes_first_and_its_port_does_not_count(before: bytes, host: bytes) -> None:
    assert parse(before + COMBINED).host == host


@pytest.mark.parametrize("address", [b"192.0.2.7", b"2001:db8::1", b"::1", b"client.example.net"])
@pytest.mark.parametrize("host", [b"", b"a.example:80 "])
@pytest.mark.parametrize("user", [b"-", b"frank", b"John Doe", b"[x] "])
def test_any_address_and_user(address: bytes, host: bytes, user: bytes) -> None:
    rest = b' [28/Nov/2026:12:00:00 +0000] "GET / HTTP/1.1" 200 -'
    entry = parse(host + address + b" - " + user + rest)
    assert entry == Entry(SECOND, b"a.example" if host else None, b"GET", b"/", 200)


@pytest.mark.parametrize(
    ("request_line", "method", "path"),
    [
        (b"HEAD / HTTP/1.1", b"HEAD", b"/"),
        (b"GET /a%20b#c HTTP/1.1", b"GET", b"/a%20b"),
        (b"GET http://other.example/a?b HTTP/1.1", b"GET", b"/a"),
        (b"GET http://other.example HTTP/1.1", b"GET", b"/"),
        (b"GET /old", b"GET", b"/old"),
        (b"GET /with a space HTTP/1.1", b"GET", b"/with a space"),
        (rb"GET /\"quoted\"\\\xc3\xa9 HTTP/1.1", b"GET", b'/"quoted"\\\xc3\xa9'),
        (b"PROPFIND /dav/ HTTP/1.1", b"PROPFIND", b"/dav/"),
        (b"OPTIONS * HTTP/1.1", b"OPTIONS", None),
        (b"CONNECT a.example:443 HTTP/1.1", b"CONNECT", None),
        (b"-", b"-", None),
        (b"", b"", None),
        (rb"\x16\x03\x01", b"\x16\x03\x01", None),
    ],
)
def test_requests(request_line: bytes, method: bytes, path: bytes | None) -> None:
    entry = parse(COMBINED.replace(b"GET /a?id=1 HTTP/1.0", request_line))
    assert (entry.method, entry.path) == (method, path)


def test_a_zone_is_taken_into_account_and_a_leap_second_is_a_second() -> None:
    assert parse(COMBINED.replace(b"+0000", b"+0530")).second == SECOND - 19_800
    assert parse(COMBINED.replace(b"+0000", b"-0700")).second == SECOND + 25_200
    assert parse(COMBINED.replace(b"12:00:00", b"12:00:60")).second == SECOND + 60


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (b"", line.NO_TIME),
        (b"Nov 28 12:00:00 host sshd[77]: session opened", line.NO_TIME),
        (COMBINED.replace(b"28/Nov/2026", b"2026-11-28"), line.NO_TIME),
        (COMBINED.replace(b"28/Nov", b"31/Nov"), line.NO_SUCH_TIME),
        (COMBINED.replace(b"28/Nov", b"28/Nvo"), line.NO_SUCH_TIME),
        (COMBINED.replace(b":12:00:00", b":24:00:00"), line.NO_SUCH_TIME),
        (COMBINED.replace(b"+0000", b"+1900"), line.NO_SUCH_TIME),
        (COMBINED[: COMBINED.index(b"GET")], line.NO_REQUEST),
        (COMBINED[: COMBINED.index(b" 200")], line.NO_STATUS),
        (COMBINED.replace(b" 200 2326", b" fine"), line.NO_STATUS),
    ],
)
def test_what_is_no_such_line_is_refused_with_a_reason_that_quotes_nothing(
    text: bytes, reason: str
) -> None:
    with pytest.raises(MalformedLine) as caught:
        parse(text)
    assert str(caught.value) == reason


FIELD = st.text(st.characters(min_codepoint=1, max_codepoint=0x2FF), max_size=20)
PATH = st.text(
    st.characters(min_codepoint=1, max_codepoint=0x2FF, exclude_characters="?#"), max_size=20
)
ZONES = st.integers(-14 * 60, 14 * 60).map(lambda minutes: timezone(timedelta(minutes=minutes)))
VISITS = st.builds(
    Visit,
    at=st.datetimes(
        datetime(1970, 1, 3), datetime(2200, 1, 1), timezones=ZONES, allow_imaginary=False
    ).map(lambda at: at.replace(microsecond=0)),
    host=st.none() | st.from_regex(r"[a-z0-9.-]{1,20}", fullmatch=True),
    address=st.ip_addresses().map(str),
    user=st.from_regex(r"[A-Za-z][A-Za-z ]{0,10}[a-z]", fullmatch=True) | st.just("-"),
    request=st.builds(
        "{} /{}{} HTTP/1.1".format,
        st.sampled_from(["GET", "POST", "HEAD", "PUT"]),
        PATH,
        FIELD.map("?{}".format) | st.just(""),
    ),
    status=st.integers(100, 599),
    size=st.integers(0, 10**12),
    referer=FIELD,
    agent=FIELD,
    port=st.integers(1, 65535),
)


@given(VISITS)
def test_what_was_logged_is_read_back(visit: Visit) -> None:
    text = written(visit)
    assert text.isascii()
    assert "\n" not in text
    method, target = visit.request.split(" ", 1)
    path = target.removesuffix(" HTTP/1.1").partition("?")[0]
    host = None if visit.host is None else visit.host.encode()
    assert parse(text.encode()) == Entry(
        int(visit.at.timestamp()), host, method.encode(), path.encode(), visit.status
    )


@given(st.binary(max_size=200))
def test_any_bytes_are_read_or_refused(text: bytes) -> None:
    try:
        entry = parse(text)
    except MalformedLine:
        return
    assert entry.path is None or entry.path.startswith(b"/")
