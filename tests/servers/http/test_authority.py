"""Host headers and the authorities of URIs, good and bad."""

import pytest

from servers.http.authority import absolute, is_authority


@pytest.mark.parametrize(
    "value",
    [
        b"",
        b"t0001.localhost",
        b"T0001.LOCALHOST",
        b"t0001.localhost.",
        b"t0001.localhost:",
        b"t0001.localhost:8080",
        b"t0001.localhost:65535",
        b"t0001.localhost:000080",
        b":80",
        b"127.0.0.1:80",
        b"999.999",
        b"[::1]",
        b"[::1]:80",
        b"[::ffff:127.0.0.1]:",
        b"[v1.a:b]",
        b"under_score~-!$&'()*+,;=",
        b"%74%300001",
        b"a" * 1000,
    ],
)
def test_valid(value: bytes) -> None:
    assert is_authority(value)


@pytest.mark.parametrize(
    "value",
    [
        b"t0001.localhost@evil",
        b"user:word@t0001.localhost",
        b"t0001.local host",
        b"t0001.localhost:abc",
        b"t0001.localhost:+80",
        b"t0001.localhost:-1",
        b"t0001.localhost:65536",
        b"t0001.localhost:" + b"9" * 5000,
        b"t0001.localhost:80:80",
        b"t0001.localhost: 80",
        b"t0001.localhost/",
        b"../t0002.localhost",
        b"t0001?x",
        b"t0001#x",
        b"t0001\\x",
        b"http://t0001",
        b"::1",
        b"[::1",
        b"::1]",
        b"[]",
        b"[::1]x",
        b"[::1]80",
        b"[::1]:x",
        b"[::1%eth0]",
        b"[1.2.3.4]",
        b"[t0001]",
        b"[v.a]",
        b"[v1.]",
        b"[vg.a]",
        b"[[::1]]",
        b"%",
        b"%4",
        b"%zz",
        b"t\xc3\xa9",
        b"t\0",
        b'"t"',
        b"<t>",
        b"a" * 1000 + b"@",
    ],
)
def test_invalid(value: bytes) -> None:
    assert not is_authority(value)
    if not set(value) & set(b"/?"):
        with pytest.raises(ValueError, match="neither"):
            absolute(b"http://" + value + b"/")


def test_parts_of_a_uri() -> None:
    assert absolute(b"HTTP://T:80/a?b=http://c") == (b"http", b"T:80", b"/a?b=http://c")
    assert absolute(b"http://t?a/b") == (b"http", b"t", b"?a/b")
    assert absolute(b"http://t") == (b"http", b"t", b"")
