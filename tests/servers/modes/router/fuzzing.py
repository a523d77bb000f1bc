"""Arbitrary bytes, arbitrarily cut, for the parsers of the C front and for those of the server.

    python -m tests.servers.modes.router.fuzzing SECONDS [SEED]

goes on for so long, with AddressSanitizer and UndefinedBehaviorSanitizer, and says what it found:
where the C front reads the same bytes as something else than `servers.http` and `parse_output` do,
and where it does what C does not define. The tests do a little of it.
"""

import random
import re
import shutil
import struct
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from servers.http import BadRequest, Request, RequestParser, render
from servers.interpreter.embedded import ScriptFailed, parse_output
from servers.modes import router
from servers.modes.router.framing import taken_apart
from tests.servers.test_fuzzing import GOOD_REQUESTS, REQUEST_PARTS, RESPONSE_PARTS

HEAD_LIMIT, BODY_LIMIT = 300, 200
SOURCES = Path(router.__file__).parent
PROGRAM = Path(__file__).with_name("fuzzed.c")
BATCH = 400
MOST_SHOWN = 10

PARTS = [
    *REQUEST_PARTS,
    *(b"Transfer-Encoding: chunked, ", b"Transfer-Encoding: ,chunked\r\n", b"Transfer-Encoding:"),
    *(
        b"transfer-encoding:\tCHUNKED \r\n",
        b"Transfer-Encoding: chunked\t\r\n",
        b"chunked",
        b"gzip",
    ),
    *(b"Content-Length: 00\r\n", b"Content-Length:\t7 \r\n", b"Content-Length: 3\r\n\r\nabc"),
    *(b"Content-Length: 18446744073709551616\r\n", b"Content-Length: 201\r\n", b"Expect:\r\n"),
    *(b"host:\tT.x \r\n", b"Host: t%41.u\r\n", b"Host: %\r\n", b"Host: [v1.x]:9\r\n", b"Host"),
    *(b"Connection: , close\r\n", b"Connection: keep-alive\r\n", b"Upgrade:\r\n", b"X:\r\n\ty\r\n"),
    *(b"X: \x80\xff\r\n", b"X!#$%&'*+-.^_`|~0aZ: y\r\n", b'X": y\r\n', b"\x7f", b"http://"),
    *(b"0;", b"1\r\nx\r\n", b"0000000000000002\r\nab\r\n", b"A;\t\r\n", b"c8\r\n", b"x" * 200),
]
STARTS = [
    b"POST /a HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\n\r\n",
    b"GET /a HTTP/1.1\r\nHost: t\r\n",
    b"POST /a HTTP/1.1\r\n",
    b"",
]
ANSWER_PARTS = [
    *RESPONSE_PARTS,
    *(b"Content-Type: a/b\n\n", b"content-type:a\r\n\r\n", b"Status: 205", b"Status: 204 \n"),
    *(b"Content-Length: ", b"Content-Length: 99999999999999999999", b"Date: x\n", b"Upgrade: x\n"),
    *(b"Transfer-Encoding: chunked\n", b"Keep-Alive: x\n", b"Status: 599 x\ty\n", b"Status: 600\n"),
]


class Case(NamedTuple):
    """What to feed: a client's bytes (`Q`) in pieces, or what a script printed (`A`)."""

    kind: bytes
    flags: int
    pieces: tuple[bytes, ...]

    def written(self) -> bytes:
        """Return it as fuzzed.c reads it."""
        parts = [struct.pack("<cBI", self.kind, self.flags, len(self.pieces))]
        for piece in self.pieces:
            parts += [struct.pack("<I", len(piece)), piece]
        return b"".join(parts)


Outcome = tuple[object, ...]


class Fuzzed:
    """The C front's parsers as a program, with sanitizers."""

    def __init__(self, folder: Path) -> None:
        """Compile it into `folder`."""
        self._program = folder / "fuzzed"
        compiler = shutil.which("gcc") or shutil.which("clang")
        assert compiler, "sanitizers take gcc or clang"
        subprocess.run(
            [
                *(compiler, "-std=c11", "-O1", "-g", "-Wall", "-Wextra", "-Werror"),
                *("-Wno-unused-function", "-fsanitize=address,undefined"),
                *("-fno-sanitize-recover=all", f"-I{SOURCES}"),
                *(f"-DHEAD_LIMIT={HEAD_LIMIT}", f"-DBODY_LIMIT={BODY_LIMIT}"),
                *("-o", str(self._program), str(PROGRAM)),
            ],
            check=True,
        )

    def outcomes(self, cases: Sequence[Case]) -> list[Outcome]:
        """Return what comes of each case. Raises AssertionError where a sanitizer objects."""
        written = b"".join(case.written() for case in cases)
        done = subprocess.run([self._program], input=written, capture_output=True, check=False)
        if done.returncode == 0:
            reader = _Reader(done.stdout)
            return [reader.outcome() for _ in cases]
        if len(cases) == 1:
            raise AssertionError(f"{cases[0]}\n{done.stderr.decode()}")
        for case in cases:
            self.outcomes([case])
        raise AssertionError(f"only together: {cases}\n{done.stderr.decode()}")


class _Reader:
    def __init__(self, output: bytes) -> None:
        self._output = output
        self._place = 0

    def _take(self, length: int) -> bytes:
        self._place += length
        assert self._place <= len(self._output)
        return self._output[self._place - length : self._place]

    def _number(self) -> int:
        return int.from_bytes(self._take(4), "little")

    def outcome(self) -> Outcome:
        """Return the outcome of one case, as `expected` has it."""
        found: list[object] = []
        while (kind := self._take(1)) != b".":
            if kind == b"R":
                flags, tenant = self._take(1)[0], self._take(self._number())
                found.append((flags, tenant, *facts_of(self._take(self._number()))))
            elif kind == b"M":
                found.append(("more", self._take(1)[0]))
            elif kind == b"X":
                found.append(("refused", self._number()))
            else:
                found.append((self._number(), self._take(self._number())))
        return tuple(found)


def facts_of(message: bytes) -> Outcome:
    """Return what a worker sees in a message: the facts of exactly one request."""
    parser = RequestParser(4 * HEAD_LIMIT, BODY_LIMIT)
    try:
        (request,) = parser.feed(message)
        apart = taken_apart(message)
    except (BadRequest, ValueError) as error:
        return ("no request", message, str(error))
    if (facts(apart), apart.headers) != (facts(request), request.headers):
        return ("taken apart as another", message)
    return ("mid" if parser.mid_message else "whole", *facts(request))


def facts(request: Request) -> Outcome:
    """Return what is the same in a request that is written anew."""
    headers = [
        (name, value)
        for name, value in request.headers
        if name.lower() not in (b"content-length", b"transfer-encoding")
    ]
    return request.method, request.target, request.version, request.host, headers, request.body


def expected(case: Case) -> Outcome:
    """Return what the reference makes of a case."""
    return (_answer(case),) if case.kind == b"A" else tuple(_requests(case.pieces))


def _requests(pieces: Sequence[bytes]) -> Iterator[object]:
    parser = RequestParser(HEAD_LIMIT, BODY_LIMIT)
    try:
        for piece in pieces:
            for request in parser.feed(piece):
                is_star = request.target == b"*"
                flags = request.keep_alive | (request.method == b"HEAD") << 1 | is_star << 2
                yield flags, _tenant(request.host), "whole", *facts(request)
        yield "more", parser.mid_message | parser.expects_continue << 1
    except BadRequest as refusal:
        yield "refused", refusal.status


def _tenant(host: bytes) -> bytes:
    name = host.partition(b":")[0].partition(b".")[0].lower()
    return name if len(name) <= 255 else b""


def _answer(case: Case) -> Outcome:
    try:
        response = parse_output(case.pieces[0])
    except ScriptFailed:
        return 0, b""
    rendered = render(response, bool(case.flags & 1), bool(case.flags & 2))
    # The Date that the server writes is behind its Connection.
    rendered = re.sub(rb"(\r\nConnection: [a-z-]+)\r\nDate: [^\r]*", rb"\1", rendered, count=1)
    return response.status, rendered


def cases(chance: random.Random) -> Iterator[Case]:
    """Yield cases without end."""
    while True:
        if chance.random() < 0.2:
            parts = [_part(chance, ANSWER_PARTS) for _ in range(chance.randrange(1, 9))]
            yield Case(b"A", chance.randrange(4), (b"".join(parts),))
        else:
            yield Case(b"Q", 0, _cut(chance, _stream(chance)))


def _stream(chance: random.Random) -> bytes:
    if chance.random() < 0.3:
        return _mutated(chance, chance.choice(GOOD_REQUESTS) + chance.choice(GOOD_REQUESTS))
    parts = [_part(chance, PARTS) for _ in range(chance.randrange(1, 12))]
    end = b"\r\n\r\n" if chance.random() < 0.5 else b""
    return chance.choice(STARTS) + b"".join(parts) + end + chance.choice((b"", *GOOD_REQUESTS))


def _part(chance: random.Random, parts: Sequence[bytes]) -> bytes:
    if chance.random() < 0.1:
        return chance.randbytes(chance.randrange(4))
    part = chance.choice(parts)
    return _mutated(chance, part) if chance.random() < 0.1 else part


def _mutated(chance: random.Random, data: bytes) -> bytes:
    changed = bytearray(data)
    for _ in range(chance.randrange(4)):
        place = chance.randrange(len(changed) + 1)
        changed[place : place + chance.randrange(3)] = chance.randbytes(chance.randrange(3))
    return bytes(changed)


def _cut(chance: random.Random, data: bytes) -> tuple[bytes, ...]:
    if chance.random() < 0.1:
        return tuple(data[place : place + 1] for place in range(len(data)))
    places = sorted(chance.randrange(len(data) + 1) for _ in range(chance.randrange(4)))
    pieces = [data[a:b] for a, b in zip([0, *places], [*places, len(data)], strict=True)]
    return tuple(piece for piece in pieces if piece)


def differences(
    fuzzed: Fuzzed, seconds: float, seed: int, most: int = sys.maxsize
) -> tuple[int, list[str]]:
    """Compare for so long, or for so many cases; return how many those were, and what differed."""
    endless = cases(random.Random(seed))
    found: list[str] = []
    count, end = 0, time.monotonic() + seconds
    while time.monotonic() < end and count < most and len(found) < MOST_SHOWN:
        batch = [next(endless) for _ in range(BATCH)]
        for case, outcome in zip(batch, fuzzed.outcomes(batch), strict=True):
            if outcome != expected(case):
                found.append(f"{case}\n  C front:   {outcome}\n  reference: {expected(case)}")
        count += len(batch)
    return count, found


def main() -> int:
    """Fuzz for as long as the command line says; return 1 where something was found."""
    seconds = float(sys.argv[1])
    seed = int(sys.argv[2]) if len(sys.argv) > 2 else time.time_ns()
    with tempfile.TemporaryDirectory() as folder:
        count, found = differences(Fuzzed(Path(folder)), seconds, seed)
    print(*found[:MOST_SHOWN], sep="\n")
    print(f"{count} cases from seed {seed}: {len(found)} differences")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
