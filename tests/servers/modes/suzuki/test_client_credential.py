"""Credentials in packets: as `workloads.credential` makes them, and as an attacker would."""

import fcntl
import os
import signal
import socket
import struct
import time
from collections.abc import Callable
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from servers.kernel.credentials import Identity
from servers.modes.suzuki.client_credential import (
    CLOCK_SKEW_SECONDS,
    KEY_BYTES,
    LIFETIME_SECONDS,
    Credential,
    NonceMemory,
    Refused,
    Verifier,
    credential_in,
)
from tests.servers.forked import in_child
from workloads import credential
from workloads.credential import Stamper
from workloads.proof import Identity as Client

KEY = bytes(range(KEY_BYTES))
CLIENT = Client(46001, 46001)
PORT = 8080


def option(key: bytes = KEY, client: Client = CLIENT) -> bytes:
    return Stamper(key, "127.0.0.1", PORT).option(client)


def syn(
    options: bytes, source: str = "127.0.0.1", destination: str = "127.0.0.1", port: int = PORT
) -> bytes:
    """Return a packet as TCP_SAVED_SYN has it."""
    words = (20 + len(options)) // 4
    addresses = socket.inet_aton(source) + socket.inet_aton(destination)
    ip = struct.pack("!BBHHHBBH", 4 << 4 | words, 0, 40, 1, 0, 64, 6, 0) + addresses + options
    return ip + struct.pack("!HHIIBBHHH", 40000, port, 1, 0, 5 << 4, 2, 65535, 0, 0)


def verifier(now: Callable[[], float] = time.time) -> Verifier:
    return Verifier(KEY, {(CLIENT.uid, CLIENT.gid)}, now)


def test_both_sides_agree_on_the_layout() -> None:
    assert len(option()) == credential.OPTION_BYTES == 40
    assert verifier().accept(syn(option())) == Identity(46001, 46001)
    found = credential_in(syn(option(client=Client(2**32 - 2, 1))))
    assert (found.uid, found.gid) == (2**32 - 2, 1)
    assert abs(time.time() - found.issued) < 5


NOW = time.time()
"""When the credentials below are made: long before they are used, where there are many tests."""
GOOD = syn(option())


@pytest.mark.parametrize(
    ("packet", "reason"),
    [
        pytest.param(b"", "kept no IPv4 SYN", id="nothing"),
        pytest.param(GOOD[:19], "kept no IPv4 SYN", id="cut in the header"),
        pytest.param(b"\x6f" + GOOD[1:], "kept no IPv4 SYN", id="IPv6"),
        pytest.param(GOOD[:9] + b"\x11" + GOOD[10:], "kept no IPv4 SYN", id="UDP"),
        pytest.param(b"\x44" + GOOD[1:], "SYN is malformed", id="header of 16 bytes"),
        pytest.param(GOOD[:63], "SYN is malformed", id="cut before the port"),
        pytest.param(syn(b""), "sent no credential", id="no options"),
        pytest.param(syn(b"\0\0\0\0"), "sent no credential", id="end of options"),
        pytest.param(syn(b"\0" + option()[:39]), "sent no credential", id="after the end"),
        pytest.param(syn(b"\x94\4\0\0"), "sent no credential", id="another option"),
        pytest.param(syn(b"\1\1\1\x9e"), "SYN is malformed", id="no length"),
        pytest.param(syn(b"\x9e\0\0\0"), "SYN is malformed", id="length 0"),
        pytest.param(syn(b"\x9e\1\0\0"), "SYN is malformed", id="length 1"),
        pytest.param(syn(b"\x94\0" + option()[:38]), "SYN is malformed", id="another of length 0"),
        pytest.param(syn(b"\1\x9e\x29" + bytes(37)), "SYN is malformed", id="beyond the end"),
        pytest.param(syn(b"\x9e\2\0\0"), "credential is malformed", id="empty"),
        pytest.param(syn(b"\1\1\x9e\x26" + bytes(36)), "credential is malformed", id="short"),
        pytest.param(
            syn(option()[:2] + b"\2" + option()[3:]), "credential is malformed", id="version"
        ),
        pytest.param(
            syn(option()[:16] + bytes(8) + option()[24:]), "credential is malformed", id="nonce 0"
        ),
        pytest.param(syn(option(bytes(KEY_BYTES))), "is forged", id="another key"),
        pytest.param(syn(option(), source="127.0.0.2"), "is forged", id="another client"),
        pytest.param(syn(option(), destination="127.0.0.2"), "is forged", id="another address"),
        pytest.param(syn(option(), port=PORT + 1), "is forged", id="another port"),
        pytest.param(syn(option(client=Client(46002, 46001))), "is unknown here", id="uid"),
        pytest.param(syn(option(client=Client(46001, 46002))), "is unknown here", id="gid"),
        pytest.param(syn(option(client=Client(0, 0))), "is unknown here", id="root"),
    ],
)
def test_refused(packet: bytes, reason: str) -> None:
    with pytest.raises(Refused, match=reason):
        verifier(lambda: NOW).accept(packet)


def test_no_bit_of_it_can_be_changed() -> None:
    stamp = option()
    check = verifier()
    for bit in range(16, 8 * len(stamp)):  # after number and length
        changed = bytearray(stamp)
        changed[bit // 8] ^= 1 << bit % 8
        with pytest.raises(Refused, match=r"is forged|is malformed"):
            check.accept(syn(bytes(changed)))
    check.accept(syn(stamp))


@given(st.binary(max_size=120))
def test_whatever_the_packet_is_it_is_read_or_refused(packet: bytes) -> None:
    for bytes_of_it in (packet, syn(packet[: len(packet) // 4 * 4][:40])):
        with suppress(Refused):
            assert isinstance(credential_in(bytes_of_it), Credential)


def test_it_counts_for_a_short_time() -> None:
    stamp = syn(option())
    issued = credential_in(stamp).issued
    for now in (issued - CLOCK_SKEW_SECONDS, issued + LIFETIME_SECONDS):
        verifier(lambda now=now: now).accept(stamp)  # type: ignore[misc]
    with pytest.raises(Refused, match="expired: it is 11 seconds old"):
        verifier(lambda: issued + LIFETIME_SECONDS + 1).accept(stamp)
    with pytest.raises(Refused, match="clock is 2 seconds ahead"):
        verifier(lambda: issued - CLOCK_SKEW_SECONDS - 1).accept(stamp)


def test_it_counts_once_whichever_worker_sees_it() -> None:
    check = verifier()
    first, second = syn(option()), syn(option())
    in_child(lambda: check.accept(first))
    check.accept(second)
    for stamp in (first, second):
        with pytest.raises(Refused, match="was used before"):
            check.accept(stamp)


def test_what_is_refused_is_not_used_up() -> None:
    check = Verifier(KEY, set())
    stamp = syn(option())
    for _ in range(2):
        with pytest.raises(Refused, match="is unknown here"):
            check.accept(stamp)


# What was used is remembered


def test_where_there_is_no_room_nothing_is_accepted() -> None:
    memory = NonceMemory(seconds=2, slots=8)
    for nonce in range(8, 14):
        memory.add(100, nonce)
    with pytest.raises(Refused, match="no room"):
        memory.add(100, 14)
    with pytest.raises(Refused, match="used before"):
        memory.add(100, 13)
    memory.add(101, 14)


def test_nonces_that_share_a_place_are_told_apart() -> None:
    memory = NonceMemory(seconds=1, slots=8)
    for nonce in (7, 15, 23):
        memory.add(1, nonce)
    for nonce in (7, 15, 23):
        with pytest.raises(Refused, match="used before"):
            memory.add(1, nonce)


def test_a_later_second_takes_the_place_of_a_former() -> None:
    memory = NonceMemory(seconds=2, slots=8)
    memory.add(100, 5)
    memory.add(102, 5)
    with pytest.raises(Refused, match="expired"):
        memory.add(100, 6)
    with pytest.raises(Refused, match="used before"):
        memory.add(102, 5)


def test_a_worker_killed_with_the_lock_leaves_none() -> None:
    memory = NonceMemory(seconds=1, slots=8)
    child = os.fork()
    if child == 0:
        fcntl.lockf(memory._lock, fcntl.LOCK_EX, 1, 0)
        os.kill(os.getpid(), signal.SIGKILL)
    os.waitpid(child, 0)
    memory.add(1, 1)


def test_workers_at_once_accept_each_nonce_once() -> None:
    memory = NonceMemory(seconds=1, slots=1024)
    told, tell = os.pipe()
    for _ in range(4):
        if os.fork() == 0:
            for nonce in range(1, 501):
                try:
                    memory.add(1, nonce)
                    os.write(tell, b".")
                except Refused:
                    pass
            os._exit(0)
    os.close(tell)
    with open(told, "rb") as pipe:
        assert len(pipe.read()) == 500
    for _ in range(4):
        os.wait()
