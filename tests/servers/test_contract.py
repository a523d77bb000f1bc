"""What every mode has to keep to. A new file in servers/modes is tested here by itself."""

import io
import json
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from servers import modes
from servers.mode import RunsAs
from tests.servers.live import (
    FIRST_UID,
    WWW,
    Server,
    Sites,
    needs_root,
    read_reply,
    request,
    state_of,
)
from workloads.catalog import WORKLOADS, Workload
from workloads.proof import Identity, Proof

pytestmark = needs_root

TENANTS = ("t0001", "t0002")
WAITS = ("inet_csk_accept", "ep_poll", "do_epoll_wait")
SWITCHING = 1 << 6 | 1 << 7  # CAP_SETGID and CAP_SETUID


# Factors by which a mode serves in another way altogether.
OTHER_WAYS = ("harache:fork=connection",)


@pytest.fixture(scope="module", params=[*modes.names(), *OTHER_WAYS])
def server(request: pytest.FixtureRequest, shared_sites: Sites) -> Iterator[Server]:
    """One worker, so that whatever a request leaves behind meets the next one."""
    mode, _, factor = request.param.partition(":")
    with Server(mode, shared_sites, *(("--option", factor) if factor else ())) as running:
        running.keeps_to_one_tenant = factor == "fork=connection"
        yield running


def expected(server: Server, tenant: str = "t0001") -> Identity:
    """Return the identity that a script of `tenant` must see."""
    if modes.load(server.mode).runs_as is RunsAs.SERVER:
        return WWW
    uid = FIRST_UID + TENANTS.index(tenant)
    return Identity(uid, uid)


def on_one_connection(server: Server) -> tuple[str, str]:
    """Return two tenants that one connection may ask for.

    Where the connection says who the client is, it is one tenant, who cannot run another's script;
    and so it is where a connection has a process, which becomes its first tenant, and where each
    tenant has an address of its own.
    """
    mode = modes.load(server.mode)
    is_ones = mode.runs_as is RunsAs.CLIENT or mode.own_addresses
    return (TENANTS[0], TENANTS[0]) if is_ones or server.keeps_to_one_tenant else TENANTS


def most_on_one_connection(server: Server) -> int:
    """Return how many requests one connection may carry: the worker may end before the client."""
    return modes.load(server.mode).max_requests or 3


def problem(server: Server, tenant: str = "t0001", workload: str = "hello") -> str | None:
    """Return what is wrong with a tenant's reply, as the load sees it."""
    asked: Workload = WORKLOADS[workload]
    reply = server.ask(asked.request(tenant, "close"))
    return asked.check(Proof(tenant, expected(server, tenant)))(reply.status, reply.body)


def assert_serves(server: Server) -> None:
    assert [problem(server, tenant) for tenant in (*TENANTS, *TENANTS)] == [None] * 4


# Identity


@pytest.mark.parametrize("workload", WORKLOADS)
def test_every_workload_runs_with_the_right_identity(server: Server, workload: str) -> None:
    assert [problem(server, tenant, workload) for tenant in TENANTS] == [None, None]


def test_tenants_take_turns_on_one_worker(server: Server) -> None:
    for _ in range(3):
        assert_serves(server)


def test_no_uid_is_left_to_go_back_to(server: Server) -> None:
    report = json.loads(server.get("/whoami.py").text.splitlines()[1])
    identity = expected(server)
    ids = {"uid": identity.uid, "gid": identity.gid}
    assert [report[kind] for kind in ("real", "effective", "saved")] == [ids] * 3
    assert report["groups"] == []
    if report["capabilities"] is not None:
        sets = {name: int(mask, 16) for name, mask in report["capabilities"].items()}
        assert sets["CapEff"] == sets["CapInh"] == sets["CapAmb"] == 0
        assert sets["CapPrm"] in (0, SWITCHING)


def test_a_neighbours_secret_is_open_to_the_unguarded_server_only(server: Server) -> None:
    neighbour = server.sites.root / "t0002" / "config.secret"
    reply = server.run(f"""
        print("Content-Type: text/plain\\n")
        try:
            print(open("{neighbour}").read(), end="")
        except (PermissionError, FileNotFoundError):  # it may be out of sight as well
            print("denied")
    """)
    mode = modes.load(server.mode)
    is_open = mode.runs_as is RunsAs.SERVER and not mode.guarded
    assert reply.text == (server.sites.secret("t0002") if is_open else "denied\n")


def test_the_tenants_own_secret_is_readable(server: Server) -> None:
    reply = server.run("print(f\"Content-Type: text/plain\\n\\n{open('config.secret').read()}\")")
    assert reply.text.strip() == server.sites.secret("t0001").strip()


@pytest.mark.parametrize(
    ("source", "status"),
    [
        ("raise ValueError('on purpose')", 500),
        ("raise KeyboardInterrupt", 500),
        ("print('Content-Type: text/plain\\n\\nhalf'); 1 / 0", None),
        ("raise SystemExit", 500),
        ("print('Content-Type: text/plain\\n'); raise SystemExit(3)", 200),
        ("print('Content-Type: text/plain\\n'); raise SystemExit('last words')", 200),
        ("def broken(:", 500),
        ("import sys; sys.setrecursionlimit(50)\ndef f(): f()\nf()", 500),
        ("import sys; sys.stderr.close(); raise SystemExit('unheard')", 500),
        ("import sys; sys.stderr = None; raise ValueError('unheard')", 500),
        ("class E(Exception):\n  def __str__(self): 1/0\nraise E", 500),
        ("class E:\n  def __str__(self): 1/0\nraise SystemExit(E())", 500),
    ],
)
def test_identity_after_a_failed_script(server: Server, source: str, status: int | None) -> None:
    assert server.run(source).status in ((status,) if status else (200, 500))
    assert_serves(server)


def test_what_a_script_leaves_open_is_written_with_its_identity(server: Server) -> None:
    written = server.sites.root / "t0001" / "data" / "left-open"
    reply = server.run("""
        def never_called():
            pass
        log = open("data/left-open", "w")
        log.write("written")
        print("Content-Type: text/plain\\n")
    """)
    assert reply.status == 200
    server.wait_for(lambda: written.read_text() == "written")
    assert written.stat().st_uid == expected(server).uid
    written.unlink()


# The CGI environment


def test_query_and_body_reach_the_script(server: Server) -> None:
    server.sites.put(
        "case.py",
        """
        import os, sys
        body = sys.stdin.buffer.read()
        print("Content-Type: text/plain\\n")
        print(os.environ["QUERY_STRING"], os.environ["REQUEST_METHOD"], len(body), body[:3])
        """,
    )
    reply = server.ask(request("/case.py?a=1&b=%20", method="POST", body=b"\0\xff\n" * 30_000))
    assert reply.text == "a=1&b=%20 POST 90000 b'\\x00\\xff\\n'\n"


def test_environment_is_that_of_rfc_3875_and_nothing_else(server: Server) -> None:
    server.sites.put(
        "case.py",
        'import json, os; print("Content-Type: text/plain\\n"); print(json.dumps({**os.environ}))',
    )
    headers = "".join(
        f"{line}\r\n"
        for line in (
            "Content-Type: text/csv",
            "X-Twice: one",
            "x-twice: two",
            "Proxy: http://evil.example/",
            "X_Under: score",
            "Authorization: Basic c2VjcmV0",
        )
    )
    target = "/case.py/more/%41?x=%2F"
    reply = server.ask(request(target, method="POST", body=b"12345", headers=headers))
    environment = json.loads(reply.text)
    environment.pop("LC_CTYPE", None)  # set by the interpreter in the C locale (PEP 538)
    root = server.sites.root / "t0001"
    assert environment.pop("REMOTE_PORT").isdigit()
    assert environment == {
        "CONTENT_LENGTH": "5",
        "CONTENT_TYPE": "text/csv",
        "DOCUMENT_ROOT": str(root),
        "GATEWAY_INTERFACE": "CGI/1.1",
        "HTTP_HOST": "t0001.localhost",
        "HTTP_X_TWICE": "one, two",
        "PATH": "/usr/local/bin:/usr/bin:/bin",
        "PATH_INFO": "/more/A",
        "PATH_TRANSLATED": f"{root}/more/A",
        "QUERY_STRING": "x=%2F",
        "REMOTE_ADDR": "127.0.0.1",
        "REQUEST_METHOD": "POST",
        "REQUEST_URI": target,
        "SCRIPT_FILENAME": f"{root}/case.py",
        "SCRIPT_NAME": "/case.py",
        "SERVER_NAME": "t0001.localhost",
        "SERVER_PORT": str(server.port),
        "SERVER_PROTOCOL": "HTTP/1.1",
        "SERVER_SOFTWARE": "isobench",
    }


def test_working_directory_is_the_scripts(server: Server) -> None:
    for tenant in TENANTS:
        reply = server.run(
            'import os; print("Content-Type: text/plain\\n\\n" + os.getcwd())', tenant
        )
        assert reply.text == f"{server.sites.root / tenant}\n"


# Responses


@pytest.mark.parametrize(
    ("head", "status", "header"),
    [
        ("Status: 404 Nowhere\\nContent-Type: text/plain", 404, ("content-type", "text/plain")),
        ("Content-Type: text/plain\\r\\nStatus: 201\\r", 201, ("content-type", "text/plain")),
        ("Location: http://example.org/", 302, ("location", "http://example.org/")),
        ("Status: 301\\nLocation: /x", 301, ("location", "/x")),
        ("Content-Type: text/plain\\nX-Own: a: b", 200, ("x-own", "a: b")),
        ("Content-Type: text/plain\\nContent-Length: 999", 200, ("content-length", "5")),
        ("Content-Type: text/plain\\nTransfer-Encoding: chunked", 200, ("content-length", "5")),
    ],
)
def test_headers_of_a_script(
    server: Server, head: str, status: int, header: tuple[str, str]
) -> None:
    reply = server.run(f'import sys; sys.stdout.write("{head}\\n\\nbody\\n")')
    assert reply.status == status
    assert header in reply.headers.items()
    assert reply.body == b"body\n"


@pytest.mark.parametrize(
    ("head", "first"),
    [
        ("Status: 409 Conflict", b"HTTP/1.1 409 Conflict\r\n"),
        ("Status: 206", b"HTTP/1.1 206 Partial Content\r\n"),
        ("Status: 404 Gone Fishing", b"HTTP/1.1 404 Gone Fishing\r\n"),
        ("Status: 304 Not Modified\\nETag: x", b"HTTP/1.1 304 Not Modified\r\nETag: x\r\n"),
        ("Status: 205", b"HTTP/1.1 205 Reset Content\r\n"),
    ],
)
def test_a_status_is_enough_where_there_is_no_body(server: Server, head: str, first: bytes) -> None:
    server.sites.put("case.py", f'print("{head}\\n")')
    answer = server.exchange(request("/case.py"))
    assert answer.startswith(first)
    assert answer.endswith(b"\r\n\r\n")
    assert (b"Content-Length" in answer) is (b" 304 " not in first)


def test_head_never_has_another_length_than_get(server: Server) -> None:
    source = """
        import os
        print("Content-Type: text/plain")
        if os.environ["QUERY_STRING"]: print("Content-Length: 5")
        print()
        if os.environ["REQUEST_METHOD"] == "GET": print("body")
    """
    server.sites.put("case.py", source)
    for query, length in (("", None), ("?said", "5")):
        reply = server.ask(request(f"/case.py{query}", method="HEAD"), "HEAD")
        assert (reply.status, reply.headers.get("content-length")) == (200, length)
        assert server.get(f"/case.py{query}").headers["content-length"] == "5"


def test_an_error_has_no_body_for_head(server: Server) -> None:
    for data in (
        request("/missing.py", method="HEAD"),
        request("/hello.py", "t0001@x", method="HEAD"),
        request("/hello.py#x", method="HEAD"),
        request("/hello.py", method="HEAD", headers="X: " + "a" * 20_000),
    ):
        answer = server.exchange(data)
        assert answer.startswith(b"HTTP/1.1 4")
        assert answer.endswith(b"\r\n\r\n")


def test_head_gets_the_length_and_no_body(server: Server) -> None:
    reply = server.ask(request(method="HEAD"), "HEAD")
    assert reply.status == 200
    assert int(reply.headers["content-length"]) == len(server.get().body)
    assert server.exchange(request(method="HEAD")).endswith(b"\r\n\r\n")


def test_one_connection_serves_several_requests(server: Server) -> None:
    first, second = on_one_connection(server)
    asked = [(first, ""), (second, ""), (first, "Connection: close\r\n")]
    most = most_on_one_connection(server)
    with server.connect() as connection, connection.makefile("rb") as stream:
        for number, (tenant, headers) in enumerate(asked[:most], 1):
            connection.sendall(request(tenant=tenant, headers=headers))
            reply = read_reply(stream)
            assert f"tenant={tenant} " in reply.text
            assert reply.headers["connection"] == ("close" if number == most else "keep-alive")
        assert stream.read() == b""


def test_absolute_form_wins_over_the_host_header(server: Server) -> None:
    source = "import os; print('Content-Type: a/b\\n'); print(*map(os.environ.get, NAMES))"
    names = ("HTTP_HOST", "REQUEST_URI", "SCRIPT_NAME", "QUERY_STRING")
    server.sites.put("case.py", source.replace("NAMES", str(names)))
    target = "http://t0001.localhost:80/case.py?a=http://b/"
    answer = server.ask(request(target, tenant="elsewhere"))
    assert answer.text == "t0001.localhost:80 /case.py?a=http://b/ /case.py a=http://b/\n"


def test_options_of_the_whole_server(server: Server) -> None:
    reply = server.ask(request("*", method="OPTIONS"))
    assert (reply.status, reply.headers["content-length"]) == (200, "0")
    assert "GET" in reply.headers["allow"]


def test_an_offer_to_upgrade_is_passed_over_and_the_body_read(server: Server) -> None:
    server.sites.put(
        "case.py",
        """
        import os, sys
        print("Content-Type: text/plain\\n")
        print(sys.stdin.read(), sorted({"HTTP_UPGRADE", "HTTP_CONNECTION"} & os.environ.keys()))
        """,
    )
    headers = "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMA\r\n"
    data = request("/case.py", method="POST", body=b"body", headers=headers)
    most = min(most_on_one_connection(server), 2)
    stream = io.BytesIO(server.exchange(data * 2))
    assert [read_reply(stream).text for _ in range(most)] == ["body []\n"] * most
    assert stream.read() == b""


def test_trailers_do_not_reach_the_script(server: Server) -> None:
    server.sites.put(
        "case.py",
        """
        import os, sys
        print("Content-Type: text/plain\\n")
        print(sys.stdin.read(), [name for name in os.environ if "COOKIE" in name])
        """,
    )
    head = request("/case.py", method="POST", headers="Transfer-Encoding: chunked\r\n")
    chunks = b"2;x=y\r\nab\r\n1\r\nc\r\n0\r\nCookie: admin=1\r\n\r\n"
    assert server.ask(head + chunks).text == "abc []\n"


@pytest.mark.parametrize(
    ("header", "body", "seen"),
    [
        ("", b"", "None"),
        ("Content-Length: 0\r\n", b"", "0"),
        ("Transfer-Encoding: chunked\r\n", b"0\r\nContent-Length: 5\r\n\r\n", "0"),
        ("Transfer-Encoding: chunked\r\n", b"2\r\nab\r\n0\r\n\r\n", "2"),
    ],
)
def test_a_body_has_a_length_even_if_it_is_empty(
    server: Server, header: str, body: bytes, seen: str
) -> None:
    source = "import os; print(f\"Content-Type: a/b\\n\\n{os.environ.get('CONTENT_LENGTH')}\")"
    server.sites.put("case.py", source)
    reply = server.ask(request("/case.py", method="POST", headers=header) + body)
    assert reply.text == f"{seen}\n"


def test_a_method_of_its_own_is_the_scripts_to_answer(server: Server) -> None:
    server.sites.put(
        "case.py",
        'import os; print("Content-Type: text/plain\\n\\n" + os.environ["REQUEST_METHOD"])',
    )
    assert server.ask(request("/case.py", method="FROBNICATE")).text == "FROBNICATE\n"


def test_http_1_0_closes_unless_told_otherwise(server: Server) -> None:
    answer = server.exchange(b"GET /hello.py HTTP/1.0\r\nHost: t0001.localhost\r\n\r\n")
    assert b"Connection: close\r\n" in answer


def test_pipelined_requests_are_answered_in_order(server: Server) -> None:
    first, second = on_one_connection(server)
    asked = [first, second, first]
    data = b"".join(request(tenant=tenant, headers="") for tenant in asked)
    stream = io.BytesIO(server.exchange(data))
    for tenant in asked[: most_on_one_connection(server)]:
        assert f"tenant={tenant} " in read_reply(stream).text
    assert stream.read() == b""


# The pool


def test_pool_is_stable(server: Server) -> None:
    assert_serves(server)  # a worker may keep something from its first request on
    before = [descriptors(worker) for worker in settled(server)]
    served = server.usage()["served"]
    for number in range(23):
        assert problem(server, TENANTS[number % 2]) is None
    # A client has its answer before the worker has closed the connection and counted it.
    server.wait_for(lambda: [descriptors(worker) for worker in settled(server)] <= before)
    server.wait_for(lambda: server.usage()["served"] == served + 23)
    assert "Z" not in map(state_of, server.everybody())


def settled(server: Server) -> list[int]:
    """Return the workers, once a discarded one has been replaced and no script runs."""
    server.wait_for(lambda: not server.scripts())
    workers: list[int] = []

    def all_wait() -> bool:
        # One that starts or ends holds other descriptors than one that waits for a connection.
        workers[:] = server.workers()
        return len(workers) == server.ready["workers"] and all(map(is_accepting, workers))

    server.wait_for(all_wait)
    return workers


def is_accepting(pid: int) -> bool:
    """Return whether a process waits for clients: proc_pid_wchan(5) names the kernel's function."""
    try:
        return Path(f"/proc/{pid}/wchan").read_text() in WAITS
    except OSError:
        return False  # it has ended


def descriptors(pid: int) -> int:
    return len(list(Path(f"/proc/{pid}/fd").iterdir()))


def test_a_malformed_request_is_refused(server: Server) -> None:
    assert server.ask(b"what is this\r\n\r\n").status == 400
    assert_serves(server)


def test_content_never_runs_as_root(server: Server) -> None:
    site = server.sites.root / "rootsown"
    site.mkdir(mode=0o755, exist_ok=True)
    script = site / "case.py"
    script.write_text(
        f"#!{server.sites.interpreter}\n"
        "import os\nprint('Content-Type: text/plain\\n')\nprint(*os.getresuid())\n"
    )
    script.chmod(0o755)
    reply = server.get("/case.py", "rootsown")
    assert "0" not in reply.text.split()
    mode = modes.load(server.mode)
    if mode.runs_as is RunsAs.OWNER:  # where each has an address of its own, root's has none
        assert reply.status == (404 if mode.own_addresses else 403)
    assert_serves(server)


# Which files are scripts


@pytest.mark.parametrize(
    "target",
    ["/config.secret", "/data/app.db", "/", "/missing.py", "/data", "/hello.pyc", "/.hidden.py"],
)
def test_what_is_no_script_is_not_found(server: Server, target: str) -> None:
    assert server.get(target).status == 404


def test_unknown_tenant_is_not_found(server: Server) -> None:
    assert server.get(tenant="t9999").status == 404


def test_symbolic_link_is_no_script(server: Server) -> None:
    link = server.sites.root / "t0001" / "link.py"
    if not link.is_symlink():
        link.symlink_to(server.sites.root / "t0002" / "hello.py")
    assert server.get("/link.py").status in (403, 404)
    assert_serves(server)


def test_script_without_permission_is_forbidden(server: Server) -> None:
    server.sites.put("closed.py", "print('Content-Type: text/plain\\n')", mode=0o000)
    # 500: the wrapper of suEXEC refuses it after the server has found nothing wrong, as Apache's.
    assert server.get("/closed.py").status == (500 if server.mode == "suexec" else 403)
    assert_serves(server)


def test_changed_script_is_picked_up(server: Server) -> None:
    for word in ("first", "other", "third"):  # of the same length
        time.sleep(0.02)  # the file system's clock ticks every few milliseconds
        reply = server.run(f'print("Content-Type: text/plain\\n\\n{word}")')
        assert reply.text == f"{word}\n"


def test_client_that_goes_away(server: Server) -> None:
    with server.connect() as connection:
        connection.sendall(request("/template.py"))
        # RST instead of FIN (socket(7), SO_LINGER with a time of 0).
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    assert_serves(server)
