"""The guard of safe_mode: what it denies, by which rule, what it allows, what gets around it.

Each case runs as a tenant's script; a denial is a PermissionError that names the rule.
"""

import os
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.servers.live import WWW, Server, Sites, needs_root

pytestmark = needs_root


@pytest.fixture(scope="module")
def server(shared_sites: Sites) -> Iterator[Server]:
    with Server("safe_mode", shared_sites, "--script-seconds", "1") as running:
        yield running


TRIAL = """
import os, signal, socket, sqlite3, sys, _thread
other = {other!r}
print("Content-Type: text/plain\\n")
def attempt():
{body}
try:
    print("allowed", attempt())
except PermissionError as error:
    print("denied", error)
except Exception as error:
    print("failed", type(error).__name__, error)
"""


def attempt(server: Server, body: str, tenant: str = "t0001") -> str:
    """Run the body of a function as a script, and return what became of it."""
    indented = "".join(f"    {line}\n" for line in body.splitlines())
    other = str(server.sites.root / "t0002")
    return server.run(TRIAL.format(other=other, body=indented), tenant).text


def rule(answer: str) -> str:
    """Return which rule denied it; else the whole answer."""
    before, comma, after = answer.partition("safe_mode, ")
    return after.partition(" rule")[0] if comma and before.startswith("denied") else answer


@pytest.mark.parametrize(
    "body",
    [
        "open(f'{other}/config.secret')",
        "open(f'{other}/config.secret'.encode())",
        "os.open(f'{other}/config.secret', os.O_RDONLY)",
        "import pathlib; pathlib.Path(other, 'config.secret').read_text()",
        "open('../t0002/config.secret')",
        "open('data/../../t0002/config.secret')",
        "os.chdir('data'); open('../../t0002/config.secret')",
        "open(os.path.realpath('.') + '2/x', 'w')",
        "open('/etc/passwd')",
        "open('/proc/self/environ')",
        "open(f'{os.__file__}/../../../etc/passwd')",
        "open(os.__file__, 'r+')",
        "class Path(str):\n  def encode(self, *_): return b'data'\nopen(Path('/etc/passwd'))",
        "os.listdir('..')",
        "os.listdir(other)",
        "next(os.scandir('/'))",
        "os.chdir('/')",
        "os.rename('data/app.db', '/tmp/stolen')",
        "os.rename(f'{other}/config.secret', 'data/stolen')",
        "os.remove(f'{other}/config.secret')",
        "os.rmdir(f'{other}/data')",
        "os.mkdir(f'{other}/data/new')",
        "os.link(f'{other}/config.secret', 'data/link')",
        "os.symlink(f'{other}/config.secret', 'data/link')",
        "os.symlink('../../t0002/config.secret', 'data/link')",
        "os.chmod(f'{other}/data', 0o777)",
        "os.chown(f'{other}/data', -1, -1)",
        "os.truncate(f'{other}/data/app.db', 0)",
        "os.utime(f'{other}/data/app.db')",
        "os.setxattr(f'{other}/data/app.db', 'user.a', b'b')",
        "os.remove('config.secret', dir_fd=os.open('.', os.O_RDONLY))",
        "sqlite3.connect(f'{other}/data/app.db')",
        "sqlite3.connect(f'file:{other}/data/app.db', uri=True)",
        "socket.socket(socket.AF_UNIX).bind('/tmp/socket')",
        "socket.socket(socket.AF_UNIX).connect(bytearray(b'/run/socket'))",
        "socket.socket(socket.AF_UNIX).connect('\\0abstract')",
    ],
)
def test_path_rule(server: Server, body: str) -> None:
    assert rule(attempt(server, body)) == "path"


@pytest.mark.parametrize(
    ("name", "body"),
    [
        ("process", "os.fork()"),
        ("process", "os.system('true')"),
        ("process", "os.popen('true')"),
        ("process", "os.execv('/bin/true', ['true'])"),
        ("process", "os.posix_spawn('/bin/true', ['true'], {})"),
        ("process", "import subprocess; subprocess.run(['true'])"),
        ("process", "os.kill(os.getpid(), 9)"),
        ("process", "os.killpg(0, 9)"),
        ("process", "signal.pthread_kill(_thread.get_ident(), 9)"),
        ("code", "import ctypes; ctypes.CDLL(None)"),
        ("code", "import ctypes; ctypes.string_at(id(0))"),
        ("code", "sys.modules.pop('_ctypes'); import _ctypes"),
        pytest.param(
            "code",
            "sqlite3.connect(':memory:').enable_load_extension(True)",
            marks=pytest.mark.skipif(
                not hasattr(sqlite3.Connection, "enable_load_extension"),
                reason="this Python's sqlite3 cannot load extensions",
            ),
        ),
        ("limit", "import resource; resource.setrlimit(resource.RLIMIT_NOFILE, (9, 9))"),
    ],
)
def test_other_rules(server: Server, name: str, body: str) -> None:
    assert rule(attempt(server, body)) == name


def test_extension_module_of_the_site(server: Server) -> None:
    answer = attempt(
        server,
        """
import _imp, importlib.machinery
machinery = importlib.machinery
loader = machinery.ExtensionFileLoader("evil", os.path.abspath("data/evil.so"))
return _imp.create_dynamic(machinery.ModuleSpec("evil", loader, origin=loader.path))
""",
    )
    assert rule(answer) == "code"


@pytest.mark.parametrize(
    "body",
    [
        "return open('config.secret').read()[:9]",
        "return open(os.path.abspath('config.secret')).read()[:9]",
        "open('data/new', 'w').write('x'); os.rename('data/new', 'data/n'); os.remove('data/n')",
        "os.mkdir('data/d'); os.listdir('data/d'); os.rmdir('data/d')",
        "open('data/f', 'w').close(); os.chmod('data/f', 0o600); os.utime('data/f'); "
        "os.truncate('data/f', 0); os.remove('data/f')",
        "os.symlink('app.db', 'data/l'); open('data/l').close(); os.remove('data/l')",
        "os.chdir('data'); open('../config.secret').close()",
        "return sorted(os.listdir())[0]",
        "sqlite3.connect(':memory:').close(); sqlite3.connect('data/app.db').close()",
        "import pathlib; sqlite3.connect(pathlib.Path('data/app.db')).close()",
        "import xml.dom.minidom, decimal, asyncio, subprocess, unittest.mock, zoneinfo",
        "open(os.__file__).close()",
        "os.environ['A'] = 'b'",
        "import asyncio; asyncio.run(asyncio.sleep(0))",
        "a, b = socket.socketpair(); a.send(b'x'); return b.recv(1)",
        "socket.socket().connect_ex(('127.0.0.1', 1))",
        "open(1, 'w', closefd=False).close()",
    ],
)
def test_what_scripts_may_do(server: Server, body: str) -> None:
    assert attempt(server, body).startswith("allowed"), server.log()


def test_owner_rule(server: Server) -> None:
    """Of a file in the site, its owner or that of its directory must be the script's."""
    foreign = server.sites.root / "t0001" / "foreign"
    foreign.mkdir()
    (foreign / "file").touch()
    for path in (foreign, foreign / "file"):
        os.chown(path, WWW.uid, WWW.gid)
    assert rule(attempt(server, "open('foreign/file')")) == "owner"
    assert rule(attempt(server, "os.remove('foreign/file')")) == "owner"
    os.chown(foreign / "file", server.sites.tenants[0].uid, WWW.gid)
    (foreign / "file").chmod(0o640)
    assert attempt(server, "open('foreign/file')").startswith("allowed")


def test_link_that_a_tenant_made_by_other_means(server: Server) -> None:
    link = server.sites.root / "t0001" / "data" / "outward"
    link.symlink_to(server.sites.root / "t0002" / "config.secret")
    assert rule(attempt(server, "open('data/outward')")) == "path"
    assert attempt(server, "os.remove('data/outward')").startswith("allowed")


def test_thread_may_not_do_what_has_a_rule(server: Server) -> None:
    """Neither during its request nor later, when a neighbour's script runs."""
    log = server.sites.root / "t0001" / "data" / "thread.log"
    log.touch()
    log.chmod(0o666)
    server.run("""
        import time, _thread
        def start(open=open):
            log = open("data/thread.log", "w", buffering=1)
            def work(sleep=time.sleep):
                for path in ("config.secret", "../t0002/config.secret") * 20:
                    try:
                        log.write(open(path).read())
                    except OSError as error:
                        log.write(f"{error}\\n")
                    sleep(0.01)
                log.write("end\\n")
            _thread.start_new_thread(work, ())
        start()
        print("Content-Type: text/plain\\n")
    """)
    server.wait_for(lambda: server.get(tenant="t0002").status != 200 or "end" in log.read_text())
    lines = log.read_text().splitlines()
    assert len(lines) == 41
    assert all("safe_mode, thread rule" in line for line in lines[:-1])


def test_finaliser_in_a_frame_is_denied_too(server: Server) -> None:
    """An exception's frames go before the guard does."""
    secret = server.sites.root / "t0002" / "config.secret"
    source = f"""
        import sys
        class Last:
            def __del__(self, sys=sys):  # the globals of a script are gone by then
                try:
                    print(open({str(secret)!r}).read(), file=sys.stderr)
                except BaseException as error:
                    print("finaliser:", error, file=sys.stderr, flush=True)
        def leave(way):
            last = Last()
            way()
        def fail():
            1 / 0
        def never():
            while True: pass
    """
    for way in ("fail", "never"):
        assert server.run(f"{source}\n        leave({way})").status in (500, 504)
    assert server.log().count("finaliser: [Errno 13] safe_mode, path rule") == 2
    assert secret.read_text().strip() not in server.log()


def test_server_works_on_after_time_ran_out(server: Server) -> None:
    """Wherever the time ran out: in the script, or in the guard."""
    for body in ("while True: pass", "while True: open('config.secret').close()"):
        assert server.run(f"import time\n{body}").status == 504
        assert server.get(tenant="t0002").status == 200


@pytest.mark.parametrize(
    "body",
    [
        pytest.param("return os.stat(f'{other}/config.secret').st_size", id="no event: stat"),
        pytest.param("return os.access(f'{other}/config.secret', os.R_OK)", id="no event: access"),
        pytest.param(
            "root = os.open('.', os.O_RDONLY)\n"
            "os.makedirs('data/deeper', exist_ok=True)\n"
            "os.chdir('data/deeper')\n"
            "neighbour = os.open('../t0002', os.O_RDONLY, dir_fd=root)\n"
            "os.chdir('..')\n"
            "return os.open('config.secret', os.O_RDONLY, dir_fd=neighbour)",
            id="not in the event: dir_fd of open",
        ),
        pytest.param(
            "from servers.modes.safe_mode.language_guard import LanguageGuard\n"
            "import gc\n"
            "guard = next(o for o in gc.get_objects() if isinstance(o, LanguageGuard))\n"
            "guard.leave()\n"
            "return open(f'{other}/config.secret').read()",
            id="the guard's own switch",
        ),
        pytest.param(
            "database = sqlite3.connect(':memory:')\n"
            "database.execute('ATTACH ? AS other', (f'{other}/data/app.db',))\n"
            "return database.execute('SELECT count(*) FROM other.articles').fetchone()[0]",
            id="no event: ATTACH",
        ),
        pytest.param(
            "from servers.kernel import syscalls as linux\n"
            "return linux._libc.prctl(linux.PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0)",
            id="a C function that the server has looked up before",
        ),
    ],
)
def test_known_ways_around(server: Server, body: str) -> None:
    """They are the finding, and listed in docs/modes.md: who closes one should say so there."""
    assert attempt(server, body).startswith("allowed")


def test_refusals_are_the_scripts_failure(server: Server) -> None:
    reply = server.run(f"open({str(Path('/etc/passwd'))!r})")
    assert (reply.status, "PermissionError" in reply.text) == (500, True)
