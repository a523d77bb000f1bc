"""Clients and scripts that misbehave: each is bounded, and every mode goes on serving after it."""

import os
import socket
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from servers import modes
from servers.mode import Limits
from tests.servers.live import Reply, Server, Sites, command_line, needs_root, read_reply, request

pytestmark = needs_root

STUCK = 3
EXECUTING = ("cgi", "suexec")
"""Modes whose scripts are programs: file descriptor 1 is the output, the #! line counts."""


LIMITS = ("--script-seconds", "1", "--client-seconds", "1")


@pytest.fixture(scope="module", params=modes.names())
def server(request: pytest.FixtureRequest, shared_sites: Sites) -> Iterator[Server]:
    """One worker, so that whatever a request leaves behind meets the next one."""
    with Server(request.param, shared_sites, *LIMITS) as running:
        yield running


@pytest.fixture(scope="module", params=modes.names())
def crowd(request: pytest.FixtureRequest, shared_sites: Sites) -> Iterator[Server]:
    """As many workers as requests that get stuck at the same time."""
    with Server(request.param, shared_sites, *LIMITS, workers=STUCK) as running:
        yield running


# Clients

HOST = b"Host: t0001.localhost\r\n"
TOO_MUCH = Limits().body + 1


CHUNKED = b"POST /upload.py HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: chunked\r\n\r\n"


def trailing(trailers: bytes) -> bytes:
    return CHUNKED + b"0\r\n" + trailers + b"\r\n\r\n"


def chunked(size: int) -> bytes:
    return CHUNKED + b"%x\r\n" % size + bytes(size) + b"\r\n0\r\n\r\n"


@pytest.mark.parametrize(
    ("data", "status"),
    [
        pytest.param(b"\0\0\0\0", 400, id="binary"),
        pytest.param(b"GET /hello.py HTTP/1.1\r\n\r\n", 400, id="no host"),
        pytest.param(b"GET /hello.py HTTP/1.1\r\n" + HOST + HOST + b"\r\n", 400, id="two hosts"),
        pytest.param(b"GET /hello.py HTTP/9.9\r\n" + HOST + b"\r\n", 505, id="version"),
        pytest.param(b"GET /hello.py HTTP/1.1\r\nHo st: x\r\n\r\n", 400, id="space in a name"),
        pytest.param(b"GET /hello.py HTTP/1.1\r\n" + HOST + b"X: a\0b\r\n\r\n", 400, id="NUL"),
        pytest.param(
            b"POST /upload.py HTTP/1.1\r\n" + HOST + b"Content-Length: -1\r\n\r\n",
            400,
            id="negative length",
        ),
        pytest.param(
            b"POST /upload.py HTTP/1.1\r\n" + HOST + b"Content-Length: 9" + b"9" * 40 + b"\r\n\r\n",
            400,
            id="length beyond 64 bits",
        ),
        pytest.param(
            b"POST /upload.py HTTP/1.1\r\n"
            + HOST
            + b"Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
            400,
            id="length and chunked",
        ),
        pytest.param(request("/" + "a" * 9_000), 414, id="long target"),
        pytest.param(request(headers=f"X: {'a' * 20_000}\r\n"), 431, id="long header"),
        pytest.param(request(headers="X: a\r\n" * 5_000), 431, id="many headers"),
        pytest.param(
            b"GET /hello.py HTTP/1.1\r\n" + b"X: " + b"a" * 20_000, 431, id="endless head"
        ),
        pytest.param(request("/upload.py", method="POST", body=bytes(TOO_MUCH)), 413, id="length"),
        pytest.param(chunked(TOO_MUCH), 413, id="chunked"),
        pytest.param(
            b"POST /upload.py HTTP/1.0\r\n" + HOST + b"Transfer-Encoding: chunked\r\n\r\n",
            400,
            id="chunked in HTTP/1.0",
        ),
        pytest.param(trailing(b"X: y\r\n" * 5_000), 431, id="many trailers"),
        pytest.param(trailing(b"X: " + b"a" * 20_000), 431, id="endless trailer"),
        pytest.param(request("https://t0001.localhost/hello.py"), 421, id="https"),
        pytest.param(request("http://u@t0001.localhost/hello.py"), 400, id="user in the target"),
        pytest.param(request("/hello.py#x"), 400, id="fragment"),
        pytest.param(request("*"), 400, id="asterisk"),
        pytest.param(request(headers="Expect: other\r\n"), 417, id="expectation"),
        pytest.param(
            b"CONNECT t0001.localhost:80 HTTP/1.1\r\n" + HOST + b"\r\n", 501, id="CONNECT"
        ),
        pytest.param(request("/../t0002/hello.py"), 400, id="traversal"),
        pytest.param(request("/%2e%2e/t0002/hello.py"), 400, id="encoded dots"),
        pytest.param(request("/x%2f..%2f..%2ft0002%2fhello.py"), 400, id="encoded slashes"),
        pytest.param(request("/hello.py/../../t0002/config.secret"), 400, id="path info"),
        pytest.param(request("/hello.py%00.txt"), 400, id="encoded NUL"),
        pytest.param(request(tenant="../t0002"), 400, id="host with a path"),
        pytest.param(request(tenant="t0002@t0001"), 400, id="host with a user"),
        pytest.param(request(tenant="."), 404, id="empty host label"),
        pytest.param(request("http://u:p@t0001.localhost/hello.py"), 400, id="user and password"),
        pytest.param(request("http://@t0001.localhost/hello.py"), 400, id="empty user"),
        pytest.param(request("http://t0001.localhost\\@t0002/hello.py"), 400, id="backslash"),
        pytest.param(
            b"GET /hello.py HTTP/1.1\r\nHost: [fe80::1%25eth0]\r\n\r\n", 400, id="IPv6 zone"
        ),
        pytest.param(
            b"GET /hello.py HTTP/1.1\r\nHost: t0001:65536\r\n\r\n", 400, id="port beyond 16 bits"
        ),
        pytest.param(request(headers="X\t: y\r\n"), 400, id="tab behind a name"),
        pytest.param(request("/hello.py\tx"), 400, id="tab in the target"),
        pytest.param(CHUNKED + b"3 \r\nabc\r\n0\r\n\r\n", 400, id="space behind a chunk's size"),
        pytest.param(CHUNKED + b"0x3\r\nabc\r\n0\r\n\r\n", 400, id="chunk size with a prefix"),
        pytest.param(trailing(b"X: y\r\n z"), 400, id="folded trailer"),
        pytest.param(
            CHUNKED.replace(b"chunked", b"chunked\t") + b"0\r\n\r\n", 400, id="tab behind a coding"
        ),
    ],
)
def test_bad_request_is_refused_and_the_client_sees_it(
    server: Server, data: bytes, status: int
) -> None:
    with server.connect() as connection, connection.makefile("rb") as stream:
        connection.sendall(data)
        reply = read_reply(stream)
        assert reply.status == status
        assert status == 404 or stream.read() == b""
    server.assert_serves()


# Requests that are unusual, and right. A server that reads one in another way than its neighbours
# is one through which a proxy can be deceived.

ECHO = """
    import os, sys
    body = sys.stdin.buffer.read()
    names = ("REQUEST_METHOD", "REQUEST_URI", "PATH_INFO", "SERVER_NAME", "HTTP_X")
    print("Content-Type: text/plain\\n")
    print(*(ascii(os.environ.get(name, "-")) for name in names), ascii(body))
"""


def asked(
    target: bytes = b"/echo.py",
    host: bytes = b"t0001.localhost",
    fields: bytes = b"",
    body: bytes = b"",
    method: bytes = b"GET",
    version: bytes = b"1.1",
) -> bytes:
    first = b"%b %b HTTP/%b\r\n" % (method, target, version)
    return first + b"Host: %b\r\n" % host + fields + b"\r\n" + body


NEXT = asked(b"/echo.py?next")
IN_CHUNKS = b"Transfer-Encoding: chunked\r\n"
THREE = b"Content-Length: 3\r\n"
KEPT = b"Connection: keep-alive\r\n"
EXPECTS = b"Expect: 100-continue\r\n"

UNUSUAL = {
    "HTTP/1.0, kept": (asked(fields=KEPT, version=b"1.0") + NEXT, "'GET' '/echo.py'", True),
    "HTTP/1.0, kept, and a body": (
        asked(fields=KEPT + THREE, body=b"abc", method=b"POST", version=b"1.0") + NEXT,
        "b'abc'",
        True,
    ),
    "HTTP/1.0, close wins": (
        asked(fields=b"Connection: close, keep-alive\r\n", version=b"1.0") + NEXT, "'GET'", False,
    ),
    "a body of HEAD": (asked(fields=THREE, body=b"abc", method=b"HEAD") + NEXT, "", True),
    "a body of GET": (asked(fields=THREE, body=b"abc") + NEXT, "'GET' '/echo.py'", True),
    "chunks of HEAD": (
        asked(fields=IN_CHUNKS, body=b"3\r\nabc\r\n0\r\n\r\n", method=b"HEAD") + NEXT, "", True,
    ),
    "an expectation that came with its body": (
        asked(fields=EXPECTS + THREE, body=b"abc", method=b"POST") + NEXT, "b'abc'", True,
    ),
    "an expectation without a body": (asked(fields=EXPECTS) + NEXT, "'GET' '/echo.py'", True),
    "zeros before a chunk's size": (
        asked(fields=IN_CHUNKS, body=b"0000003\r\nabc\r\n000\r\n\r\n", method=b"POST") + NEXT,
        "b'abc'",
        True,
    ),
    "a Host among the trailers": (
        asked(fields=IN_CHUNKS, body=b"3\r\nabc\r\n0\r\nHost: x\r\n\r\n", method=b"POST") + NEXT,
        "'t0001.localhost' '-' b'abc'",
        True,
    ),
    "zeros before a length": (
        asked(fields=b"Content-Length:\t0003\t\r\n", body=b"abc", method=b"POST") + NEXT,
        "b'abc'",
        True,
    ),
    "absolute form": (
        asked(b"HTTP://T0001.localhost:0/echo.py?q", host=b"x"), "'/echo.py?q' '-' 't0001", True,
    ),
    "a dot behind the host": (asked(host=b"t0001.localhost."), "'t0001.localhost'", True),
    "port 0": (asked(host=b"t0001.localhost:0"), "'t0001.localhost'", True),
    "no port behind the colon": (asked(host=b"t0001.localhost:"), "'t0001.localhost'", True),
    "encoded slashes": (asked(b"/%2fecho.py/a%2Fb"), "'/%2fecho.py/a%2Fb' '/a/b'", True),
    "an encoded NUL in the query": (asked(b"/echo.py?%00"), "'/echo.py?%00' '-'", True),
    "a percent sign by itself": (asked(b"/echo.py/%zz%"), "'/%zz%'", True),
    "tabs in a value": (asked(fields=b"X:\t a\tb \t\r\n"), r"'a\tb'", True),
    "a value of tabs": (asked(fields=b"X: \t\r\n"), "'t0001.localhost' '' b''", True),
    "close in capitals": (asked(fields=b"Connection:\tx, CLOSE\r\n") + NEXT, "'GET'", False),
    "an upgrade with a body": (
        asked(fields=b"Connection: upgrade\r\nUpgrade: x\r\n" + THREE, body=b"abc") + NEXT,
        "b'abc'",
        True,
    ),
    "a line end behind a body": (
        asked(fields=THREE, body=b"abc\r\n", method=b"POST") + NEXT, "b'abc'", True,
    ),
}  # fmt: skip
"""What is sent, a part of the first answer's body, and whether the connection stays after it."""


@pytest.mark.parametrize("name", UNUSUAL)
def test_an_unusual_request_is_read_alike_in_all_modes(server: Server, name: str) -> None:
    server.sites.put("echo.py", ECHO)
    data, part, stays = UNUSUAL[name]
    method = "HEAD" if data.startswith(b"HEAD") else "GET"
    with server.connect() as connection, connection.makefile("rb") as stream:
        connection.sendall(data)
        connection.shutdown(socket.SHUT_WR)
        reply, following = read_reply(stream, method), read_reply(stream)
    assert (reply.status, part in reply.text) == (200, True), reply
    goes_on = stays and NEXT in data and not modes.load(server.mode).max_requests
    assert (following.status, "?next" in following.text) == ((200, True) if goes_on else (0, False))


def test_good_request_before_a_bad_one_gets_its_answer(server: Server) -> None:
    with server.connect() as connection, connection.makefile("rb") as stream:
        connection.sendall(request(headers="") + b"nonsense\r\n\r\n")
        statuses = [read_reply(stream).status for _ in range(3)]
        # The worker may have had its last request before the bad one.
        assert statuses == ([200, 0, 0] if modes.load(server.mode).max_requests else [200, 400, 0])


def test_slow_clients_lose_their_connection(crowd: Server) -> None:
    """As many as there are workers: one that never ends its head, one its body, one that idles."""
    with ThreadPoolExecutor() as pool:
        slow = [
            pool.submit(drip, crowd, b"GET /hello.py HTTP/1.1\r\nX: "),
            pool.submit(drip, crowd, request(method="POST", body=bytes(9999))[:-9000]),
            pool.submit(drip, crowd, chunked(TOO_MUCH)),
            pool.submit(idle, crowd),
        ]
        assert [ending.result() for ending in slow] == [408, 408, 413, 0]
    crowd.assert_serves(STUCK)


def drip(server: Server, data: bytes) -> int:
    """Send `data`, then a byte now and then until the server closes; return its status."""
    with server.connect() as connection:
        connection.sendall(data)
        until = time.monotonic() + 10
        try:
            while time.monotonic() < until:
                time.sleep(0.1)
                connection.sendall(b"a")
        except ConnectionError:
            pass
        assert time.monotonic() < until, "the server listens for ever"
        return status_that_arrived(connection)


def status_that_arrived(connection: socket.socket) -> int:
    """Return the status of the answer that came before the connection was reset."""
    try:
        return read_reply(connection.makefile("rb")).status
    except ConnectionError:
        return 0


def idle(server: Server) -> int:
    """Wait on a keep-alive connection until it ends; return the status of what came, 0."""
    with server.connect() as connection, connection.makefile("rb") as stream:
        connection.sendall(request(headers=""))
        assert read_reply(stream).status == 200
        return read_reply(stream).status


# Scripts

OK = "print('Content-Type: text/plain\\n')"


@pytest.mark.parametrize(
    ("source", "status"),
    [
        pytest.param("pass", 500, id="prints nothing"),
        pytest.param("print('no header, no blank line')", 500, id="no header"),
        pytest.param("print('Content Type: text/plain\\n')", 500, id="malformed header"),
        pytest.param("print('\\nbody')", 500, id="empty header"),
        pytest.param("print('Status: abc\\nContent-Type: a/b\\n')", 500, id="malformed status"),
        pytest.param("print('Status: 100\\nContent-Type: a/b\\n')", 500, id="interim status"),
        pytest.param("print('X: y\\n')", 500, id="no CGI field"),
        pytest.param("print('Status: 404\\n\\nbody')", 500, id="body without a type"),
        pytest.param("print('Content-Type: a/b\\n' * 2)", 500, id="two types"),
        pytest.param("print('Content-Type: a/b\\nX: \\x1b\\n')", 500, id="control character"),
        pytest.param("print('Content-Type: a/b\\rX: y\\n')", 500, id="bare carriage return"),
        pytest.param(f"{OK}; print('x' * 40_000_000)", 500, id="40 MB at once"),
        pytest.param(f"{OK}\nfor _ in range(40_000): print('x' * 1000)", 500, id="40 MB"),
        pytest.param(f"{OK}\nimport sys; sys.stdout.close()", 200, id="closes stdout"),
        pytest.param("import sys; sys.stdout.close()", 500, id="closes stdout unused"),
        pytest.param(
            f"{OK}\nimport sys; sys.stdout.flush(); sys.stdout.detach()", 200, id="detach"
        ),
        pytest.param(
            "import sys; sys.stdin.close(); sys.stdout.close(); 1/0", 500, id="closes both"
        ),
        pytest.param(f"{OK}\nimport sys; sys.stderr.close()", 200, id="closes stderr"),
        pytest.param(f"{OK}\nimport sys; sys.stderr.detach()", 200, id="detaches stderr"),
        pytest.param(f"{OK}\nimport os; os.umask(0o777); os.chdir('data')", 200, id="umask"),
        pytest.param(
            "import sys; sys.stdout.buffer.write(b'Content-Type: a/b\\n\\n' + bytes(range(256)))",
            200,
            id="binary",
        ),
        pytest.param(f"{OK}; print('\\udc80')", 200, id="a byte that is no UTF-8"),
        pytest.param(f"{OK}; print('\\ud800')", 500, id="not to be encoded"),
    ],
)
def test_output_of_a_bad_script(server: Server, source: str, status: int | None) -> None:
    reply = server.run(source)
    if not (server.mode in EXECUTING and ("detach" in source or "ud800" in source)):
        assert status is None or reply.status == status, server.log()
    server.assert_serves()


def test_script_that_leaves_its_site(server: Server) -> None:
    reply = server.run(f"import os\nos.chdir('/')\n{OK}")
    assert reply.status == (500 if is_guarded(server) else 200)
    server.assert_serves()


def is_guarded(server: Server) -> bool:
    return modes.load(server.mode).guarded


def test_header_injection_is_not_passed_on(server: Server) -> None:
    answers = [
        server.run(f"print('Content-Type: a/b\\nX: y{line_end}Set-Cookie: stolen=1\\n')")
        for line_end in ("\\r", "\\0")
    ]
    assert [answer.status for answer in answers] == [500, 500]
    assert "set-cookie" not in {name for answer in answers for name in answer.headers}


def test_forty_megabytes_do_not_stay_in_memory(server: Server) -> None:
    reply = server.run(f"{OK}; print('x' * 42_000_000)")
    assert reply.status == 500
    server.wait_for(lambda: all(resident_mib(pid) < 40 for pid in server.everybody()))


def resident_mib(pid: int) -> float:
    try:
        pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    except OSError:
        return 0.0
    return pages * 4096 / 2**20


@pytest.mark.parametrize(
    "end",
    ["os.abort()", "os.kill(os.getpid(), 9)", "os._exit(3)", "os.kill(os.getpid(), 15)"],
)
def test_script_that_kills_its_process(server: Server, end: str) -> None:
    """More of them than workers may fail at the start: the master must not take it for that."""
    for _ in range(6):
        assert server.run(f"import os; {end}").status in (0, 500, 502)
    server.wait_for(lambda: len(server.workers()) == server.ready["workers"])
    server.assert_serves()


def test_headers_without_number(server: Server) -> None:
    source = "for n in range(20_000): print(f'X-{n}: {n}')\nprint('Content-Type: a/b\\n')"
    assert server.run(source).headers["x-19999"] == "19999"


def test_body_that_nobody_reads(server: Server) -> None:
    server.sites.put("case.py", OK)
    assert server.ask(request("/case.py", method="POST", body=bytes(65536))).status == 200


@pytest.mark.parametrize("printed", [OK, "pass"])
@pytest.mark.parametrize("descriptors", ["(1,)", "(0, 1, 2)"])
def test_script_that_closes_descriptors(server: Server, printed: str, descriptors: str) -> None:
    """The next connection must not get a standard stream's number, or the log goes to a client."""
    reply = server.run(
        f"import os, sys\n{printed}\nsys.stdout.flush()\nfor n in {descriptors}: os.close(n)"
    )
    assert reply.status in (200, 500)
    stray = "import os; os.write(1, b'stray'); os.write(2, b'stray')\n"
    for _ in range(STUCK):
        reply = server.run(f"{stray}{OK}") if server.mode not in EXECUTING else server.get()
        assert reply.status == 200
    server.assert_serves()


def test_script_that_forks(server: Server) -> None:
    """The child comes to the script's end as well, and must not become a second worker."""
    reply = server.run(
        f"import os\npid = os.fork()\nif pid: os.waitpid(pid, 0)\n{OK}\nprint('end')"
    )
    assert reply.status == (500 if is_guarded(server) else 200)
    assert is_guarded(server) or set(reply.text.split()) <= {"end", "Content-Type:", "text/plain"}
    settle(server)
    server.assert_serves()


def settle(server: Server) -> None:
    """Wait until there are just the workers, and no script runs."""
    server.wait_for(lambda: len(server.workers()) == server.ready["workers"])
    server.wait_for(lambda: not server.scripts())


def sleeps(server: Server) -> bool:
    return any("sleep\0" in command_line(pid) for pid in server.everybody())


def test_background_child_does_not_hold_up_the_answer(server: Server) -> None:
    with Server(server.mode, server.sites) as other:  # whose end is the child's, as Server checks
        reply = other.run(f"""
            import subprocess as s
            s.Popen(["/bin/sleep", "1000"], stdout=s.DEVNULL, start_new_session=True)
            {OK}
        """)
        assert reply.status == (500 if is_guarded(server) else 200)
        mode = modes.load(server.mode)
        if is_guarded(server) or mode.ends_leftovers:  # which may come after the answer
            other.wait_for(lambda: not sleeps(other))
        else:  # a look may miss it while its parent ends and it gets another
            other.wait_for(lambda: sleeps(other))
        other.assert_serves()


def test_scripts_that_never_end(crowd: Server) -> None:
    """All workers are stuck at once; each gets free in time, and no tenant's process stays."""
    stubborn = "while True:\n  try:\n    while True: time.sleep(0.01)\n  except BaseException: pass"
    sources = {
        "busy": "while True: pass",
        "asleep": "import time; time.sleep(1000)",
        "stubborn": f"import time\n{stubborn}",
    }
    for name, source in sources.items():
        crowd.sites.put(f"{name}.py", source)
    with ThreadPoolExecutor() as pool:
        replies = dict(
            zip(sources, pool.map(crowd.get, (f"/{n}.py" for n in sources)), strict=True)
        )
    # Where one waits for another worker, it does so for a second at most: a slow host needs more.
    ended = {504, 503} if crowd.mode == "router" else {504}
    assert {replies["busy"].status, replies["asleep"].status} <= ended
    assert replies["stubborn"].status in {0, *ended}  # it ends with its worker, if it is inside one
    settle(crowd)
    crowd.wait_for(
        lambda: all(
            "servers.server_main" in command_line(pid)
            for pid in {*crowd.everybody()} - {*crowd.zygotes(), *crowd.workers()}
        )
    )
    crowd.assert_serves(STUCK)


def test_script_that_goes_on_without_its_stdout(server: Server) -> None:
    source = f"import os, sys, time\n{OK}\nsys.stdout.flush(); os.close(1); time.sleep(1000)"
    assert server.run(source).status == (200 if server.mode in EXECUTING else 504)
    settle(server)
    server.assert_serves()


def test_interpreter_that_is_missing(server: Server) -> None:
    path = server.sites.put("case.py", OK)
    path.write_text(f"#!/no/such/interpreter\n{OK}\n")
    reply: Reply = server.get("/case.py")
    assert reply.status == (500 if server.mode in EXECUTING else 200)
    if server.mode == "cgi":
        assert "the interpreter in its #! line does not exist" in server.log()
    if server.mode == "suexec":
        assert "case.py" in server.log()


def test_script_that_is_not_executable(server: Server) -> None:
    """Programs need the permission; the embedded interpreter only reads."""
    server.sites.put("case.py", OK, mode=0o640)
    status = {"cgi": 403, "suexec": 500}.get(server.mode, 200)
    assert server.get("/case.py").status == status


def test_fifo_in_a_scripts_place(server: Server) -> None:
    path = server.sites.root / "t0001" / "fifo.py"
    if not path.exists():
        os.mkfifo(path, 0o750)
        os.chown(path, path.parent.stat().st_uid, server.sites.www.gid)
        path.chmod(0o750)
    assert server.get("/fifo.py").status in (403, 500, 504)
    server.assert_serves()
