"""The compiled client beside the lean one, which is the reference, and against servers gone mad."""

import ctypes
import json
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from itertools import islice
from pathlib import Path

import gevent
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from workloads.catalog import WORKLOADS, Connection
from workloads.load.clients import library
from workloads.load.clients.client import PAUSE_AFTER_FAILURE_S, Client
from workloads.load.clients.compiled import ClosedLoop, Made, functions
from workloads.load.clients.reply import BrokenReply, ExchangeFailed, ReplyParser
from workloads.load.spec import Load, endless
from workloads.load.timetable import Timetable
from workloads.proof import Identity, Proof

ROOT = Path(__file__).parents[4]
TENANTS = tuple(Proof(name, Identity(47001, 47001)) for name in ("t0001", "t0002"))
MOST_BYTES = 100_000
TIMEOUT_S = 0.3
PATIENCE_S = 20.0

pytestmark = pytest.mark.skipif(
    not any(map(shutil.which, ("cc", "gcc", "clang"))), reason="there is no C compiler"
)


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("library") / "closed_loop.so"
    library.build(path, "-Werror", "-O0")
    return path


MakeLoad = Callable[..., Load]


@pytest.fixture
def load(built: Path) -> MakeLoad:
    def make(port: int, connection: Connection = "keep-alive", users: int = 1) -> Load:
        return Load(
            "127.0.0.1",
            port,
            WORKLOADS["hello"],
            TENANTS,
            users=users,
            connection=connection,
            client="compiled",
            seed=3,
            library=built,
        )

    return make


Verdict = tuple[str, int, str, str]


def verdict(tenant: str, length: int, exception: Exception | None) -> Verdict:
    # What exactly is not HTTP is the parser's own business.
    reason = str(exception or "").partition(": ")[0] if exception else ""
    return tenant, length, type(exception).__name__, reason


def by_lean(load: Load, number: int) -> list[Verdict]:
    """What the lean client makes of the first replies."""
    seen = []
    with Client(
        load.host,
        load.port,
        connection=load.connection,
        timeout_s=TIMEOUT_S,
        max_reply_bytes=MOST_BYTES,
    ) as client:
        for ask in islice(endless(load), number):
            try:
                reply = client.exchange(ask.request)
            except ExchangeFailed as failure:
                seen.append(verdict(ask.tenant, 0, failure))
                gevent.sleep(PAUSE_AFTER_FAILURE_S)
                continue
            reason = ask.check(reply.status, reply.body)
            wrong = WrongReplyLike(reason) if reason else None
            seen.append(verdict(ask.tenant, len(reply.body), wrong))
    return seen


class WrongReplyLike(Exception):
    """Stands for the recorder's `WrongReply`."""


WrongReplyLike.__name__ = "WrongReply"


def by_loop(load: Load, number: int) -> tuple[list[Made], ClosedLoop]:
    """Return what the compiled client makes of the first replies, so many at least."""
    seconds, deadline = 0.05, time.monotonic() + PATIENCE_S
    while True:
        loop = ClosedLoop(load, timeout_s=TIMEOUT_S, max_reply_bytes=MOST_BYTES)
        for _ in range(load.users):
            loop.come()
        time.sleep(seconds)
        made = list(loop.end())
        loop.must_have_worked()
        if len(made) >= number or time.monotonic() > deadline:
            return made, loop
        seconds *= 3


PLAYS = [
    "hello",
    "wrong-status",
    "busy",
    "slow",
    "wrong-second-tenant",
    "wrong-later",
    "truncated",
    "chunked",
    "until-close",
    "says-close",
    "closes-idle",
    "reset",
    "reset-midway",
    "silent",
    "silent-later",
    "not-http",
    "twice",
    "interim",
    "huge",
]


@pytest.mark.parametrize("connection", ["close", "keep-alive"])
@pytest.mark.parametrize("play", PLAYS)
def test_both_clients_come_to_the_same_verdicts(
    stub: Callable[[str], int], load: MakeLoad, play: str, connection: Connection
) -> None:
    number = 3 if play == "silent" else 25 if play.endswith("-later") else 10
    wanted = load(stub(play), connection)
    made, loop = by_loop(wanted, number)
    seen = [verdict(one.tenant, one.length, one.exception) for one in made[:number]]
    assert seen == by_lean(wanted, number)
    assert loop.counts.records == len(made)
    assert loop.counts.errors == sum(one.exception is not None for one in made)
    assert loop.counts.verified == len(made) - loop.counts.errors
    assert loop.counts.sent - loop.counts.records in (0, 1)
    assert all(one.began < one.completed for one in made)


def test_connections_are_kept_or_made_as_the_load_has_it(
    stub: Callable[[str], int], load: MakeLoad
) -> None:
    made, loop = by_loop(load(stub("hello"), "keep-alive", users=3), 20)
    assert (loop.counts.connections, loop.counts.retries) == (3, 0)
    made, loop = by_loop(load(stub("hello"), "close", users=3), 20)
    assert loop.counts.connections == loop.counts.sent
    made, loop = by_loop(load(stub("closes-idle"), "keep-alive"), 20)
    assert loop.counts.retries > 0
    assert loop.counts.errors == 0
    assert made


def test_nothing_listens(load: MakeLoad) -> None:
    made, _ = by_loop(load(1), 2)
    assert {str(one.exception) for one in made} == {"nothing listens at 127.0.0.1:1"}


def test_too_many_errors_halt_it(stub: Callable[[str], int], load: MakeLoad) -> None:
    loop = ClosedLoop(load(stub("wrong-status")), most_errors=30)
    loop.come()
    deadline = time.monotonic() + PATIENCE_S
    while not loop.halted and time.monotonic() < deadline:
        time.sleep(0.01)
    assert loop.halted
    time.sleep(0.05)
    assert len(list(loop.go())) == 31


def test_users_come_and_go(stub: Callable[[str], int], load: MakeLoad) -> None:
    loop = ClosedLoop(load(stub("silent")))
    for _ in range(5):
        loop.come()
    time.sleep(0.1)
    for _ in range(4):
        assert not list(loop.go())
    loop.come()
    loop.go()
    assert not list(loop.go())  # the last one: no reply has come
    assert loop.counts.sent >= 5
    assert loop.counts.records == 0
    loop.come()  # a load that is started again
    loop.go()
    assert loop.counts.sent >= 5


def test_in_turns_it_sends_within_its_slices_only(
    stub: Callable[[str], int], load: MakeLoad
) -> None:
    wanted = load(stub("hello"), "close", users=2)
    made: list[Made] = []
    deadline = time.monotonic() + PATIENCE_S
    while not made and time.monotonic() < deadline:  # on a busy host all slices may pass by
        epoch = time.monotonic() + 0.1
        turns = Timetable(epoch, (0.0, 0.05, 0.12), (0.02, 0.03, 0.01), 0.0, 0.15)
        loop = ClosedLoop(wanted, turns)
        loop.come()
        loop.come()
        time.sleep(max(0.0, turns.window[1] + 0.02 - time.monotonic()))
        made = list(loop.end())
    slices = list(turns.slices())
    assert made
    for one in made:
        assert any(begin <= one.began < end for begin, end in slices)
    # Two users rest no longer than all slices together; what lies between these is no rest.
    assert loop.counts.rested_ns <= 2 * sum(turns.lengths) * 1e9


def test_a_users_time_is_that_of_its_requests_and_its_rests(
    stub: Callable[[str], int], load: MakeLoad
) -> None:
    made, loop = by_loop(load(stub("hello"), users=3), 300)
    assert loop.counts.rests == loop.counts.sent - 3
    requests = sum(one.completed - one.began for one in made)
    began, ended = min(one.began for one in made), max(one.completed for one in made)
    known = requests + loop.counts.rested_ns / 1e9
    # Of each user the last request, which has no reply, is missing.
    longest = max(one.completed - one.began for one in made)
    assert 3 * (ended - began) - 3 * longest - 0.02 <= known <= 3 * (ended - began) + 0.02


def test_popularity_and_seed_decide_who_is_asked(
    stub: Callable[[str], int], load: MakeLoad
) -> None:
    wanted = load(stub("hello"))
    made, _ = by_loop(wanted, 50)
    order = [ask.tenant for ask in islice(endless(wanted), 50)]
    assert [one.tenant for one in made[:50]] == order


# --- The parser ------------------------------------------------------------------------------


class Parsed(ctypes.Structure):
    """`struct parsed`."""

    _fields_ = (
        ("body_length", ctypes.c_uint64),
        ("status", ctypes.c_int32),
        ("progress", ctypes.c_uint8),
        ("flaw", ctypes.c_uint8),
        ("keep_alive", ctypes.c_uint8),
    )


DONE = 1
Parse = Callable[[bytes, int], tuple[int, bytes, bool] | None]


@pytest.fixture(scope="module")
def parse(built: Path) -> Parse:
    return parser_of(built)


def parser_of(path: Path) -> Parse:
    """Return what parses bytes in pieces to status, body and keep-alive, None if broken."""
    function = functions(path).reply_parse

    def parse(data: bytes, piece: int) -> tuple[int, bytes, bool] | None:
        parsed, body = Parsed(), ctypes.create_string_buffer(len(data) + 1)
        limits = [ctypes.c_uint64(number) for number in (len(data), piece, MOST_BYTES)]
        function(data, *limits, body, ctypes.byref(parsed))
        if parsed.progress != DONE:
            return None
        return parsed.status, body.raw[: parsed.body_length], bool(parsed.keep_alive)

    return parse


def by_reference(data: bytes, piece: int) -> tuple[int, bytes, bool] | None:
    parser = ReplyParser(MOST_BYTES)
    with suppress(BrokenReply):
        for start in range(0, len(data), piece):
            if (reply := parser.feed(data[start : start + piece])) is not None:
                # What comes in a later piece belongs to the next request.
                return reply.status, reply.body, reply.keep_alive
        reply = parser.end()
        return reply.status, reply.body, reply.keep_alive
    return None


BODY = st.binary(max_size=60)
NAME = st.sampled_from(["Connection", "connection", "X-Other", "Date", "Keep-Alive"])
VALUE = st.sampled_from(["close", "keep-alive", "Close, x", "x", "", "timeout=5"])


@st.composite
def replies(draw: st.DrawFn) -> bytes:
    body = draw(BODY)
    status = draw(st.sampled_from(["200 OK", "200 ", "404 Not Found", "503 Busy", "500 x y"]))
    lines = [f"HTTP/1.{draw(st.sampled_from('01'))} {status}"]
    lines += [f"{draw(NAME)}:{draw(st.sampled_from(['', ' ', '  ']))}{draw(VALUE)}"] * draw(
        st.integers(0, 2)
    )
    framing = draw(st.sampled_from(["length", "chunks", "end"]))
    if framing == "length":
        lines.append(f"Content-Length: {len(body)}")
    elif framing == "chunks":
        lines.append("Transfer-Encoding: chunked")
        size = draw(st.integers(1, 20))
        parts = [body[start : start + size] for start in range(0, len(body), size)]
        body = b"".join(b"%X\r\n%s\r\n" % (len(part), part) for part in parts)
        body += b"0\r\n" + draw(st.sampled_from([b"", b"X-Sum: 1\r\n"])) + b"\r\n"
    interim = draw(st.sampled_from([b"", b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n"]))
    return interim + "\r\n".join([*lines, "", ""]).encode() + body


@settings(max_examples=150, deadline=None)
@given(data=replies(), piece=st.integers(1, 200))
def test_well_formed_replies_are_what_the_reference_takes_them_for(
    parse: Parse, data: bytes, piece: int
) -> None:
    assert parse(data, piece) == by_reference(data, piece)


@settings(max_examples=200, deadline=None)
@given(data=replies(), changes=st.data())
def test_nothing_is_right_that_is_wrong_to_the_reference(
    parse: Parse, data: bytes, changes: st.DataObject
) -> None:
    damaged = bytearray(data)
    for _ in range(changes.draw(st.integers(1, 3))):
        at = changes.draw(st.integers(0, len(damaged) - 1))
        damaged[at : at + changes.draw(st.integers(0, 4))] = changes.draw(
            st.sampled_from(
                [
                    b"",
                    b"\r\n",
                    b"\r",
                    b"\n",
                    b":",
                    b" ",
                    b"0",
                    b"9",
                    b"\0",
                    b"\x01",
                    b"f",
                    b",",
                    b";",
                    b"\t",
                ]
            )
        )
    data = bytes(damaged)
    seen = parse(data, len(data) or 1)
    if seen is not None and seen[0] == 200:
        assert seen == by_reference(data, len(data))


SANITIZED = r"""
import random, socket, sys, threading, time
sys.path.insert(0, "tests/workloads/load/clients")
from pathlib import Path
from workloads.catalog import WORKLOADS
from workloads.load.clients.compiled import ClosedLoop
from workloads.load.spec import Load
from workloads.proof import Identity, Proof
import test_compiled as own

chance = random.Random(7)
CORPUS = [
    b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello",
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    b"3\r\nabc\r\n0\r\nX: y\r\n\r\n",
    b"HTTP/1.1 103 Early\r\n\r\nHTTP/1.0 200 OK\r\nConnection: keep-alive\r\n\r\nthe end",
    b"HTTP/1.1 200 OK\r\nContent-Length: 99999999999999999999\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffffff\r\nabc",
    b"\r\n\r\nHTTP/1.1 204\r\n\r\n",
]

def damaged():
    data = bytearray(chance.choice(CORPUS))
    for _ in range(chance.randrange(4)):
        at = chance.randrange(len(data) + 1)
        data[at:at + chance.randrange(5)] = chance.choice(
            [b"", b"\r\n", b"\r", b"\n", b"\0", b"0", b"f" * 9, b":", b";", bytes(40),
             chance.randbytes(8), bytes(data)])
    return bytes(data[:chance.randrange(1, len(data) + 2)])

path = Path(sys.argv[1])
parse = own.parser_of(path)
end = time.monotonic() + 1.0
rounds = 0
while time.monotonic() < end:
    parse(damaged(), chance.choice([1, 2, 7, 1000]))
    rounds += 1

listener = socket.create_server(("127.0.0.1", 0), backlog=64)

def mad():
    while True:
        try:
            with listener.accept()[0] as peer:
                peer.settimeout(0.05)
                for _ in range(chance.randrange(4)):
                    peer.recv(chance.choice([1, 65536]))
                    peer.sendall(damaged())
        except OSError:
            pass

for _ in range(4):
    threading.Thread(target=mad, daemon=True).start()
made = 0
for connection in ("close", "keep-alive"):
    load = Load("127.0.0.1", listener.getsockname()[1], WORKLOADS["upload"],
                (Proof("t0001", Identity(1, 1)),), connection=connection, client="compiled",
                library=path)
    loop = ClosedLoop(load, timeout_s=0.1, max_reply_bytes=100, most_errors=10**9)
    for _ in range(8):
        loop.come()
    time.sleep(0.4)
    for _ in range(3):
        loop.go()
    made += len(list(loop.end()))
import json
print(json.dumps([rounds, made]))
"""


@pytest.fixture(scope="module")
def sanitized(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    compiler = shutil.which("gcc") or ""
    command = [compiler or "cc", "-print-file-name=libasan.so"]
    asan = subprocess.run(command, capture_output=True, text=True).stdout.strip()
    if not compiler or not Path(asan).is_absolute():
        pytest.skip("there is no AddressSanitizer")
    path = tmp_path_factory.mktemp("sanitized") / "closed_loop.so"
    sanitize = "-fsanitize=address,undefined"
    library.build(path, "-g", sanitize, "-fno-sanitize-recover=all", "-DFIRST_BYTES=16")
    return path, asan


def test_a_mad_server_does_no_harm(sanitized: tuple[Path, str]) -> None:
    path, asan = sanitized
    done = subprocess.run(
        [sys.executable, "-c", SANITIZED, path],
        cwd=ROOT,
        env={"LD_PRELOAD": asan, "ASAN_OPTIONS": "detect_leaks=0", "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=90,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-4000:]
    rounds, made = json.loads(done.stdout)
    assert rounds > 100
    assert made > 10


# --- The building ----------------------------------------------------------------------------


def test_without_a_compiler_there_is_no_compiled_client(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(library, "find_spec", lambda name: None)
    with pytest.raises(library.NotBuilt, match="there is no C compiler") as refused:
        library.build(tmp_path / "it.so")
    assert "apt-get install gcc" in refused.value.hint


def test_a_compiler_that_fails_is_quoted(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "cc").write_text("#!/bin/sh\necho 'fatal error: errno.h' >&2; exit 1\n")
    (tmp_path / "cc").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    library.load.cache_clear()
    try:
        reason = library.obstacle()
    finally:
        library.load.cache_clear()
    assert reason is not None
    assert "cannot compile closed_loop.c: fatal error: errno.h" in reason


def test_what_is_no_library_is_refused(tmp_path: Path) -> None:
    (tmp_path / "it.so").write_text("no library")
    with pytest.raises(library.NotBuilt, match="cannot be loaded"):
        library.load(tmp_path / "it.so")
