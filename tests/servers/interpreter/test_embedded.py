"""A script's environment, its output, and the embedded interpreter."""

import contextlib
import io
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from servers.http import Request, RequestParser, Response
from servers.interpreter.embedded import (
    Embedded,
    OutputTooLarge,
    ScriptFailed,
    ScriptTimeout,
    environment_of,
    parse_output,
    server_environment,
)
from servers.sites import Site
from tests.servers.live import needs_root

OK = "print('Content-Type: text/plain\\n')\n"
Run = Callable[[str], Response]


# The environment


def request_for(root: Path, data: bytes) -> Request:
    (request,) = RequestParser(10_000, 10_000).feed(data)
    request.remote = ("127.0.0.1", 12345)
    request.port = 80
    request.script = Site("t0001", root).script(request.target)
    return request


def environment(root: Path, headers: bytes, body: bytes = b"") -> dict[bytes, bytes]:
    data = b"POST /a.py?q HTTP/1.1\r\nHost: t\r\n" + headers + b"\r\n" + body
    return environment_of(request_for(root, data), server_environment())


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        (b"X-A: 1\r\n", {b"HTTP_X_A": b"1"}),
        (b"X-A: 1\r\nx-a: 2\r\n", {b"HTTP_X_A": b"1, 2"}),
        (b"Content-Type: a/b\r\n", {b"CONTENT_TYPE": b"a/b"}),
        (b"Proxy: evil\r\nX_A: 1\r\nAuthorization: secret\r\n", {}),
        (b"X.A: 1\r\nX~A: 1\r\nX!: 1\r\nProxy-Authorization: secret\r\n", {}),
        (b"Connection: Upgrade, TE, x\r\nUpgrade: h2c\r\nHTTP2-Settings: A\r\nTE: x\r\n", {}),
        (b"Keep-Alive: 1\r\nTrailer: x\r\nProxy-Connection: x\r\n", {}),
        (b"Cookie: a=1\r\nCookie: b=2\r\n", {b"HTTP_COOKIE": b"a=1; b=2"}),
    ],
)
def test_headers_become_variables(
    tmp_path: Path, headers: bytes, expected: dict[bytes, bytes]
) -> None:
    made = environment(tmp_path, headers)
    for name in environment(tmp_path, b""):
        del made[name]
    assert made == expected


def test_length_is_that_of_the_body(tmp_path: Path) -> None:
    assert environment(tmp_path, b"Content-Length: 2\r\n", b"ab")[b"CONTENT_LENGTH"] == b"2"
    assert environment(tmp_path, b"Content-Length: 0\r\n")[b"CONTENT_LENGTH"] == b"0"
    assert b"CONTENT_LENGTH" not in environment(tmp_path, b"")


def test_a_script_knows_nothing_of_chunks_and_trailers(tmp_path: Path) -> None:
    trailer = b"0\r\nCookie: admin=1\r\n\r\n"
    made = environment(tmp_path, b"Transfer-Encoding: chunked\r\n", b"2\r\nab\r\n" + trailer)
    assert made[b"CONTENT_LENGTH"] == b"2"
    assert not {b"HTTP_TRANSFER_ENCODING", b"HTTP_COOKIE"} & made.keys()


def test_a_body_without_a_chunk_has_a_length_too(tmp_path: Path) -> None:
    made = environment(tmp_path, b"Transfer-Encoding: chunked\r\n", b"0\r\n\r\n")
    assert made[b"CONTENT_LENGTH"] == b"0"


def test_the_host_is_that_of_an_absolute_target(tmp_path: Path) -> None:
    data = b"GET http://other:80/a.py?q HTTP/1.1\r\nHost: t\r\n\r\n"
    made = environment_of(request_for(tmp_path, data), server_environment())
    assert (made[b"HTTP_HOST"], made[b"REQUEST_URI"]) == (b"other:80", b"/a.py?q")


@pytest.mark.parametrize(
    ("host", "name"),
    [
        (b"t0001.localhost", b"t0001.localhost"),
        (b"t0001.localhost:8080", b"t0001.localhost"),
        (b"T0001.LocalHost.:80", b"t0001.localhost"),
        (b"127.0.0.1:80", b"127.0.0.1"),
        (b"[::1]", b"[::1]"),
        (b"[2001:DB8::1]:8080", b"[2001:db8::1]"),
    ],
)
def test_servers_name_is_the_host_asked_for(tmp_path: Path, host: bytes, name: bytes) -> None:
    asked = request_for(tmp_path, b"GET /a.py HTTP/1.1\r\nHost: %s\r\n\r\n" % host)
    assert environment_of(asked, {})[b"SERVER_NAME"] == name


def test_nothing_of_the_servers_own_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SECRET", "x")
    assert b"SECRET" not in environment(tmp_path, b"")


# The output


@pytest.mark.parametrize(
    ("output", "status", "headers", "body"),
    [
        (b"Content-Type: a/b\n\nbody", 200, ((b"Content-Type", b"a/b"),), b"body"),
        (b"Content-Type: a/b\r\n\r\n\nx", 200, ((b"Content-Type", b"a/b"),), b"\nx"),
        (b"Location:/x\nX: 1 : 2 \n\n", 302, ((b"Location", b"/x"), (b"X", b"1 : 2")), b""),
        (b"Status: 404 No\nContent-Type: a/b\n\n", 404, ((b"Content-Type", b"a/b"),), b""),
        (b"Location: /x\n\n", 302, ((b"Location", b"/x"),), b""),
        (b"Status: 201\nLocation: /x\n\n", 201, ((b"Location", b"/x"),), b""),
        (b"Status: 404\n\n", 404, (), b""),
        (b"Status: 304\nETag: x\n\n", 304, ((b"ETag", b"x"),), b""),
        (b"Status: 304\n\n\n", 304, (), b"\n"),
        (b"Location: http://x/\n\nmoved", 302, ((b"Location", b"http://x/"),), b"moved"),
        (b"Content-Type: a/b\nSet-Cookie: a\nset-cookie: b\n\n", 200,
            ((b"Content-Type", b"a/b"), (b"Set-Cookie", b"a"), (b"set-cookie", b"b")), b""),
        (b"Content-Type: a/b\nX: \xe9\t.\nY:\n\n", 200,
            ((b"Content-Type", b"a/b"), (b"X", b"\xe9\t."), (b"Y", b"")), b""),
    ],
)  # fmt: skip
def test_output_is_parsed(
    output: bytes, status: int, headers: tuple[tuple[bytes, bytes], ...], body: bytes
) -> None:
    response = parse_output(output)
    assert (response.status, response.headers, response.body) == (status, headers, body)


@pytest.mark.parametrize(
    "output",
    [
        b"",
        b"Content-Type: a/b",
        b"Content-Type: a/b\n",
        b"\n\nbody",
        b"no colon\n\n",
        b": no name\n\n",
        b"Content-Type: a/b\n folded\n\n",
        b"Na me: x\n\n",
        b"Content-Type: a/b\rX: y\n\n",
        b"Content-Type: a\0b\n\n",
        b"X: y\n\n",
        b"Status: 99\nContent-Type: a/b\n\n",
        b"Status: 2000\nContent-Type: a/b\n\n",
        b"Status: OK\nContent-Type: a/b\n\n",
        b"Status: \xb2\xb2\xb2\nContent-Type: a/b\n\n",
        b"Status: 100 Continue\n\n",
        b"Status: 101\n\n",
        b"Status: 600\n\n",
        b"Status: 20\n\n",
        b"Status: 404Nope\n\n",
        b"Status: 404\0\n\n",
        b"Status:\nContent-Type: a/b\n\n",
        b"Status: 200\nStatus: 404\nContent-Type: a/b\n\n",
        b"Status: 200\nStatus: 200\nContent-Type: a/b\n\n",
        b"Content-Type: a/b\ncontent-type: a/b\n\n",
        b"Content-Type:\n\nbody",
        b"Location: /x\nLocation: /y\n\n",
        b"Location:\n\n",
        b"Status: 404\n\nbody without a type",
        b"X: y\n\nbody",
        b"Content-Length: 4\n\nbody",
        b"Content-Type: a/b\nContent-Length: 4\nContent-Length: 5\n\nbody",
        b"Content-Type: a/b\nContent-Length: four\n\nbody",
        b"Content-Type: a/b\nContent-Length: -4\n\nbody",
        b"Content-Type: a/b\nContent-Length: 4, 4\n\nbody",
        b"Content-Type: a/b\nX: \x1b[31m\n\n",
        b"Content-Type: a/b\nX: \x7f\n\n",
        b"Content-Type: a/b\r\r\nX: y\r\n\r\n",
        b"Content-Type: a/b\rSet-Cookie: stolen=1\n\n",
        b"Content-Type : a/b\n\n",
        b" Content-Type: a/b\n\n",
        b"HTTP/1.1 200 OK\r\nContent-Type: a/b\r\n\r\n",
        b"\r\n\r\n",
        b"\n",
    ],
)
def test_what_is_no_cgi_response_is_refused(output: bytes) -> None:
    with pytest.raises(ScriptFailed):
        parse_output(output)


@pytest.mark.parametrize(
    ("status", "reason"),
    [(b"409 No Room ", b"No Room"), (b"409", b""), (b"409 ", b""), (b"418 \xe9", b"\xe9")],
)
def test_a_scripts_reason_phrase_is_kept(status: bytes, reason: bytes) -> None:
    assert parse_output(b"Status: " + status + b"\n\n").reason == reason


def test_a_header_of_more_than_1_mib_is_refused() -> None:
    line = b"Content-Type: text/plain\nX: "
    assert parse_output(line + b"x" * (1024 * 1024 - len(line)) + b"\n\nbody").status == 200
    with pytest.raises(ScriptFailed, match="header has more than 1048576 bytes"):
        parse_output(line + b"x" * (1024 * 1024 + 1 - len(line)) + b"\n\nbody")


def test_long_heads_are_not_cached() -> None:
    head = b"Content-Type: a/b\n" + b"".join(b"X-%d: %d\n" % (n, n) for n in range(1000))
    assert len(parse_output(head + b"\n").headers) == 1001


# The embedded interpreter


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Run]:
    """Run a script's source in an embedded interpreter, in pytest's own process."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(sys.modules, "__main__", sys.modules["__main__"])
    environ_views: list[Any] = [os.environ, os.environb]
    variables = environ_views[0]._data
    interpreter = Embedded(output_limit=1000)
    path = tmp_path / "a.py"

    def run(source: str) -> Response:
        path.write_text(source)
        data = b"POST /a.py?q HTTP/1.1\r\nHost: t\r\nContent-Length: 4\r\n\r\nbody"
        return interpreter.run(request_for(tmp_path, data), {b"QUERY_STRING": b"q"})

    yield run
    for view in environ_views:
        view._data = variables


def test_script_sees_its_streams_and_its_environment(run: Run, tmp_path: Path) -> None:
    source = "import os, sys\nprint(sys.stdin.read(), dict(os.environ), sys.argv, os.getcwd())"
    path = str(tmp_path / "a.py")
    words = f"body {{'QUERY_STRING': 'q'}} {[path]} {tmp_path}\n"
    assert run(OK + source).body.decode() == words


def test_script_is_main_in_a_namespace_of_its_own(run: Run) -> None:
    assert run(f"{OK}kept = 1\nprint(__name__, __file__[-5:])").body == b"__main__ /a.py\n"
    assert run(f"{OK}print('kept' in globals())").body == b"False\n"


def test_streams_are_put_back_whatever_happens(run: Run) -> None:
    before = sys.stdin, sys.stdout, sys.argv, sys.stderr
    for source in (OK, "1/0", "import sys; sys.stdout = sys.stderr = sys.argv = None; 1/0"):
        with contextlib.suppress(ScriptFailed):
            run(source)
        assert (sys.stdin, sys.stdout, sys.argv, sys.stderr) == before


@pytest.mark.parametrize("source", ["1/0", "def broken(:", "raise KeyboardInterrupt", "\0"])
def test_failures_are_the_scripts_and_are_logged(
    run: Run, capsys: pytest.CaptureFixture[str], source: str
) -> None:
    with pytest.raises(ScriptFailed, match="the script raised"):
        run(source)
    assert "Error" in (log := capsys.readouterr().err) or "KeyboardInterrupt" in log


def test_exit_ends_the_script_only(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(f"{OK}raise SystemExit('last words')").status == 200
    assert capsys.readouterr().err == "last words\n"


def test_timeout_passes_a_scripts_own_handlers(run: Run) -> None:
    late = "from servers.interpreter.embedded import ScriptTimeout\n"
    with pytest.raises(ScriptTimeout):
        run(f"{late}try:\n  raise ScriptTimeout\nexcept Exception:\n  pass")


def test_output_is_bounded(run: Run) -> None:
    for source in ("print('x' * 2000)", "for _ in range(200): print('x' * 10)"):
        with pytest.raises(OutputTooLarge):
            run(OK + source)


def test_what_was_printed_before_stdout_was_closed_counts(run: Run) -> None:
    assert run(f"{OK}print('x')\nimport sys; sys.stdout.close()").body == b"x\n"


STREAM_IS_SEEN = "import sys\nprint(id(sys.stdout), id(sys.stdout.buffer))"


def test_streams_serve_the_next_script_too(run: Run) -> None:
    first = run(OK + STREAM_IS_SEEN).body
    assert run(f"{OK}print('x' * 900)").body == b"x" * 900 + b"\n"
    assert run(OK + STREAM_IS_SEEN).body == first


@pytest.mark.parametrize(
    "source",
    [
        "sys.stdout.reconfigure(newline='\\r\\n')",
        "sys.stdout.reconfigure(encoding='utf-16', errors='strict')",
        "sys.stdout.reconfigure(line_buffering=True, write_through=True)",
        "sys.stdout.own = 1",
        "sys.stdout.buffer.own = 1",
        "sys.stdout.buffer._limit = 1",
        "sys.stdout.buffer.kept = sys.stdout.buffer.getbuffer()",
        "io.BytesIO.close(sys.stdout.buffer)",
        "sys.stdout.detach()",
        "sys.stdout.__class__ = type('Other', (type(sys.stdout),), {})",
        "a = sys.stdout.buffer; a.__class__ = type('Other', (type(a),), {'__slots__': ()})",
        "sys.modules['__main__'].__class__ = type('Other', (type(sys),), {})",
        "sys.modules['__main__'] = sys",
        "del sys.modules['__main__']",
        "sys.stdin.close()",
        "sys.stdin = None",
        "sys.stdin.write('stdin')",
        "io.kept = sys.stdout",
        "io.kept = sys.stdout.buffer",
        "io.kept = globals()",
        "io.kept = sys.modules['__main__']",
        "io.kept = lambda: 1",
        "io.kept = iter(sys.stdout)",
        "__name__ = 'other'",
        "globals().clear()",
        "print('more', end='')\n1 / 0",
        "sys.stdout.write('more')\nsys.exit(1)",
        "sys.stdout.seek(0); sys.stdout.truncate(); print('Content-Type: a/b\\n')",
        "class Late:\n  def __del__(self): globals()['late'] = 1\nlate = Late()",
    ],
)
def test_nothing_of_what_a_script_did_to_its_surroundings_is_left(
    run: Run, monkeypatch: pytest.MonkeyPatch, source: str
) -> None:
    monkeypatch.setattr(io, "kept", None, raising=False)
    look = f"""import io, sys
kept, main = io.kept, sys.modules["__main__"]
assert main.__dict__ is globals() and type(main) is type(sys) and __name__ == "__main__"
assert kept is None or kept not in (sys.stdout, sys.stdout.buffer, main, globals())
assert not (vars(sys.stdout) or vars(sys.stdout.buffer) or sys.stdin.closed)
names = sorted(set(globals()) - {{"io", "sys", "kept", "main"}})
{OK}print(sys.stdout.encoding, sys.stdout.errors, sys.stdout.line_buffering, names)"""
    before = run(look).body
    with contextlib.suppress(ScriptFailed):
        run(f"import io, sys\n{OK}{source}")
    assert run(look).body == before
    assert run(f"{OK}print('x' * 900)").body == b"x" * 900 + b"\n"


@pytest.mark.parametrize(
    "source",
    [
        "io.BytesIO.close(sys.stdout.buffer)",
        "view = sys.stdout.buffer.getbuffer(); print(view); sys.stdout.buffer.view = view",
    ],
)
def test_output_that_cannot_be_read_is_the_scripts_failure(run: Run, source: str) -> None:
    with pytest.raises(ScriptFailed, match="output cannot be read"):
        run(f"import io, sys\n{OK}{source}")


def test_leftovers_are_finalised_before_the_answer(run: Run, tmp_path: Path) -> None:
    run(f"""
class Last:
    def __del__(self):
        open("left", "x").close()
last = Last()
{OK}""")
    assert (tmp_path / "left").exists()


def test_import_path_is_put_back_whatever_a_script_did_to_it(run: Run) -> None:
    before, path = sys.path, sys.path[:]
    for source in ("sys.path.clear()", "sys.path = ['/x']", "sys.path.insert(0, '/x')", "1 / 0"):
        with contextlib.suppress(ScriptFailed):
            run(f"import sys\n{OK}{source}")
        assert sys.path is before
        assert sys.path == path


def test_what_came_in_between_two_scripts_is_forgotten_with_the_next(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    run(OK)
    monkeypatch.setitem(sys.modules, "left_by_a_thread", ModuleType("left_by_a_thread"))
    assert run(f"import sys\n{OK}print('left_by_a_thread' in sys.modules)").body == b"False\n"


def test_parts_that_a_module_of_the_library_makes_itself_are_the_librarys(run: Run) -> None:
    source = f"import pyexpat.errors\n{OK}print(pyexpat.errors.messages[1])"
    assert run(source).body == run(source).body == b"out of memory\n"


def test_symbolic_link_is_refused(run: Run, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").write_text(OK)
    (tmp_path / "a.py").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(OSError, match="symbolic links"):
        run(OK)


@pytest.mark.parametrize("code_cache", [True, False])
def test_code_cache(tmp_path: Path, code_cache: bool) -> None:
    """In a process of its own, which counts how often `compile` is called."""
    (tmp_path / "a.py").write_text(OK)
    source = f"""
import builtins, sys
from pathlib import Path
from servers.http import RequestParser
from servers.interpreter.embedded import Embedded
from servers.sites import Site
compiled = []
real = compile
builtins.compile = lambda *a, **k: compiled.append(a[1]) or real(*a, **k)
interpreter = Embedded(1000, code_cache={code_cache})
(request,) = RequestParser(1000, 1000).feed(b"GET /a.py HTTP/1.1\\r\\nHost: t\\r\\n\\r\\n")
request.script = Site("t0001", Path({str(tmp_path)!r})).script(b"/a.py")
for _ in range(3):
    assert interpreter.run(request, {{}}).status == 200
print(len(compiled))
"""
    done = subprocess.run(
        [sys.executable, "-c", source], capture_output=True, text=True, check=False, cwd=Path.cwd()
    )
    assert done.stdout.strip() == ("1" if code_cache else "3"), done.stderr


AskIn = Callable[[Path], Callable[[], bytes]]


@pytest.fixture
def ask_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AskIn:
    """Put `a.py` into a directory; return what asks for it, as it did before, for what it says."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(sys.modules, "__main__", sys.modules["__main__"])

    def ask_in(directory: Path) -> Callable[[], bytes]:
        interpreter = Embedded(1000)
        (directory / "a.py").write_text(f"{OK}print(1)")
        request = request_for(directory, b"GET /a.py HTTP/1.1\r\nHost: t\r\n\r\n")

        def ask() -> bytes:
            return interpreter.run(request, {}).body

        assert ask() == ask() == b"1\n"
        return ask

    return ask_in


def test_a_change_that_its_writer_conceals_is_noticed(ask_in: AskIn, tmp_path: Path) -> None:
    ask = ask_in(tmp_path)
    before = (tmp_path / "a.py").stat()
    (tmp_path / "a.py").write_text(f"{OK}print(2)")
    os.utime(tmp_path / "a.py", ns=(before.st_atime_ns, before.st_mtime_ns))
    assert ask() == b"2\n"


def test_a_file_in_the_place_of_a_script_is_noticed(ask_in: AskIn, tmp_path: Path) -> None:
    ask = ask_in(tmp_path)
    (tmp_path / "b").write_text(f"{OK}print(2)")
    (tmp_path / "b").replace(tmp_path / "a.py")
    assert ask() == b"2\n"
    (tmp_path / "a.py").rename(tmp_path / "b")
    with pytest.raises(FileNotFoundError):
        ask()
    (tmp_path / "a.py").symlink_to("b")
    with pytest.raises(OSError, match="symbolic links"):
        ask()


@needs_root
def test_permission_is_that_of_the_moment(ask_in: AskIn, reachable: Path) -> None:
    """What one user may read, or could read before, another may not, or not any more."""
    ask, script = ask_in(reachable), reachable / "a.py"

    def refused(uid: int) -> bool:
        os.seteuid(uid)
        try:
            ask()
        except PermissionError:
            return True
        finally:
            os.seteuid(0)
        return False

    os.chown(script, 47_001, 47_001)
    script.chmod(0o400)
    assert [refused(uid) for uid in (47_001, 47_001, 47_002, 47_001)] == [False, False, True, False]
    script.chmod(0o000)
    assert refused(47_001)
    script.chmod(0o400)
    assert not refused(47_001)
    reachable.chmod(0o600)
    assert refused(47_001)
    reachable.chmod(0o711)
    os.chown(script, 47_002, 47_002)
    assert [refused(47_001), refused(47_002)] == [True, False]


def test_kept_code_has_an_end(tmp_path: Path) -> None:
    interpreter = Embedded(1000)
    for number in range(40):
        script = tmp_path / f"{number}.py"
        script.write_text(OK + f"x = '{'x' * 1_000_000}'")
        data = b"GET /%d.py HTTP/1.1\r\nHost: t\r\n\r\n" % number
        assert interpreter.run(request_for(tmp_path, data), {}).status == 200
    assert 10 < len(interpreter._codes) < 17
    assert interpreter._codes.size <= 16 * 1024 * 1024


def test_a_script_of_more_than_8_mib_is_refused(run: Run) -> None:
    with pytest.raises(ScriptFailed, match="the script has more than 8388608 bytes"):
        run("#" * (8 * 1024 * 1024 + 1))
