"""What scripts do to the server's processes by their own: it goes on serving everybody."""

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial

import pytest

from tests.servers.live import (
    PATIENCE,
    Server,
    Sites,
    needs_root,
    read_reply,
    request,
    state_of,
)

pytestmark = needs_root

TENANTS = ("t0001", "t0002")
WORKERS = 2


KINDS = ("cgi", "dso", "harache", "zygote", "fastcgi", "router", "address", "suid2")
"""One mode for each kind of parent that a script's process can have."""


@pytest.fixture(scope="module", params=KINDS)
def server(request: pytest.FixtureRequest, shared_sites: Sites) -> Iterator[Server]:
    limits = ("--script-seconds", "1", "--client-seconds", "1")
    with Server(request.param, shared_sites, *limits, workers=WORKERS) as running:
        yield running


def assert_serves(server: Server) -> None:
    """Show that the server, which may take some seconds to get rid of a script, serves both."""
    for tenant in TENANTS * WORKERS:
        deadline = time.monotonic() + PATIENCE
        while f"tenant={tenant} " not in answer(server, tenant):
            assert time.monotonic() < deadline, server.log()
            time.sleep(0.02)


def answer(server: Server, tenant: str) -> str:
    """Return what a tenant's visitor gets; nothing where the connection is refused, or cut off."""
    try:
        return server.get(tenant=tenant).text
    except ConnectionError:
        return ""


PRELUDE = """
import ctypes, os, signal, sys, time
libc = ctypes.CDLL(None, use_errno=True)
libc.ptrace.argtypes = [ctypes.c_long] * 4
libc.prctl.argtypes = [ctypes.c_int] + [ctypes.c_ulong] * 4
PTRACE_TRACEME, PTRACE_SEIZE, PTRACE_INTERRUPT = 0, 0x4206, 0x4207
PR_SET_NAME, PR_SET_PTRACER, ANY = 15, 0x59616D61, 2**64 - 1
SIGCHLD, CLONE_PARENT = 17, 0x8000
def close_all_but(kept):
    os.closerange(0, kept)
    os.closerange(kept + 1, 4096)
def orphan(work):
    # What a script leaves behind: its parent has ended, so the master is its parent.
    told, tell = os.pipe()
    if os.fork() == 0:
        parent = os.getpid()
        if os.fork() == 0:
            try:
                signal.alarm(100)
                close_all_but(tell)
                while os.getppid() == parent:
                    time.sleep(0.001)
                work(tell)
                os.write(tell, b".")
                time.sleep(100)
            finally:
                os._exit(0)
        os._exit(0)
    os.wait()
    return told
print("Content-Type: text/plain\\n", flush=True)
"""


def run(server: Server, source: str) -> None:
    with suppress(OSError):  # the worker may be killed for it
        server.run(PRELUDE + source)


def test_orphan_that_makes_the_master_its_tracer_and_stops(server: Server) -> None:
    run(
        server,
        """
def work(tell):
    libc.ptrace(PTRACE_TRACEME, 0, 0, 0)
    os.write(tell, b".")
    os.kill(os.getpid(), signal.SIGSTOP)
os.read(orphan(work), 1)
""",
    )
    assert_serves(server)
    assert server.usage()["served"] > 0


def test_script_that_makes_its_parent_its_tracer_and_stops(server: Server) -> None:
    for _ in range(WORKERS):
        run(server, "libc.ptrace(PTRACE_TRACEME, 0, 0, 0); os.kill(os.getpid(), signal.SIGSTOP)")
    assert_serves(server)


NAMES = (
    b"voluntary_ctxt",
    b"nonvoluntary_c",
    b"x\nPPid:\t0",
    b") R 0 0 (",
    b"a b) (c",
    b"\rUid:\t0\t0",
    b"\xff\xfe\x85 ",
    b"",
)


def test_usage_counts_processes_of_any_name(server: Server) -> None:
    run(
        server,
        f"""
def take(name):
    def work(tell):
        text = ctypes.create_string_buffer(name)
        libc.prctl(PR_SET_NAME, ctypes.addressof(text), 0, 0, 0)
    return work
for name in {NAMES!r}:
    os.read(orphan(take(name)), 1)
""",
    )
    assert server.usage()["served"] > 0
    assert_serves(server)


HELD_BACK = """
def hold(thread=False):
    told, tell = os.pipe()
    target = os.getpid()
    libc.prctl(PR_SET_PTRACER, ANY, 0, 0, 0)
    if os.fork() == 0:
        signal.alarm(100)
        close_all_but(tell)
        def seize():
            libc.ptrace(PTRACE_SEIZE, target, 0, 0)
            os.write(tell, b".")
            time.sleep(100)
        if thread:
            import threading
            threading.Thread(target=seize).start()
            time.sleep(100)
        seize()
        os._exit(0)
    os.read(told, 1)
"""


@pytest.mark.parametrize("how", ["hold()", "hold(thread=True)", "hold(); os._exit(0)"])
def test_end_of_a_script_that_its_tracer_holds_back(server: Server, how: str) -> None:
    for _ in range(WORKERS):
        run(server, HELD_BACK + how)
    assert_serves(server)


def test_script_whose_tracer_stops_it_for_good(server: Server) -> None:
    stop = "libc.ptrace(PTRACE_INTERRUPT, target, 0, 0); os.write"
    for _ in range(WORKERS):
        run(server, HELD_BACK.replace("os.write", stop) + "hold(); time.sleep(100)")
    assert_serves(server)


def test_children_that_a_script_gives_to_its_parent_are_reaped(server: Server) -> None:
    for _ in range(2):
        run(
            server,
            """
libc.syscall.restype = ctypes.c_long
for _ in range(50):
    if libc.syscall(56, CLONE_PARENT | SIGCHLD, 0, 0, 0, 0) == 0:
        time.sleep(0.2)
        os._exit(0)
""",
        )
    assert_serves(server)
    server.wait_for(lambda: "Z" not in map(state_of, server.everybody()))


@pytest.mark.parametrize("number", [64, 34, 16, 6])
def test_script_that_dies_of_a_signal(server: Server, number: int) -> None:
    run(server, f"os.kill(os.getpid(), {number})")
    assert_serves(server)


# What a script leaves of a worker that will serve again

REUSED = ("dso", "ruid2", "fastcgi", "router", "router:walls=off", "address")
"""Modes whose scripts run in processes that are used again, made by the master and by others."""


@pytest.fixture(scope="module", params=REUSED)
def reused(request: pytest.FixtureRequest, shared_sites: Sites) -> Iterator[Server]:
    """A server that runs scripts in workers that it uses again."""
    limits = ("--script-seconds", "1", "--client-seconds", "1")
    mode, _, option = request.param.partition(":")
    options = ("--option", option) if option else ()
    with Server(mode, shared_sites, *limits, *options, workers=WORKERS) as running:
        yield running


REFUSE_TO_OPEN = """
class Filter(ctypes.Structure):
    _fields_ = [("length", ctypes.c_ushort), ("program", ctypes.c_char_p)]
import struct
def row(code, yes, no, value):
    return struct.pack("=HBBI", code, yes, no, value)
program = b"".join([
    row(0x20, 0, 0, 0),
    row(0x15, 0, 1, 257),
    row(0x06, 0, 0, 0x00050000 | 13),
    row(0x06, 0, 0, 0x7FFF0000),
])
libc.prctl(38, 1, 0, 0, 0)
given = Filter(len(program) // 8, program)
assert libc.prctl(22, 2, ctypes.addressof(given), 0, 0) == 0
"""

LISTENER = """
import socket
def listener():
    for number in range(3, 64):
        try:
            one = socket.socket(fileno=os.dup(number))
        except OSError:
            continue
        try:
            if one.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
                return number, one
        except OSError:
            pass
"""

LEFT = {
    "a filter of system calls": REFUSE_TO_OPEN,
    "few descriptors": "import resource\nresource.setrlimit(resource.RLIMIT_NOFILE, (9, 9))",
    "no descriptor": "import resource\nresource.setrlimit(resource.RLIMIT_NOFILE, (0, 0))",
    "all descriptors used": """
import resource
resource.setrlimit(resource.RLIMIT_NOFILE, (40, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))
try:
    while True:
        os.dup(2)
except OSError:
    os.close(39)
""",
    "no memory": "import resource\nresource.setrlimit(resource.RLIMIT_AS, (1 << 20, 1 << 20))",
    "blocked signals": "signal.pthread_sigmask(signal.SIG_BLOCK, range(1, 65))",
    "ignored signals": "libc.signal(signal.SIGALRM, 1); libc.signal(signal.SIGUSR1, 1)",
    "an alarm": "libc.signal(signal.SIGALRM, 0); libc.alarm(1)",
    "no listener": LISTENER + "os.close(listener()[0])",
    "another listener": LISTENER
    + "os.dup2(socket.create_server(('127.0.0.1', 0)).fileno(), listener()[0])",
    "a listener shut down": LISTENER + "listener()[1].shutdown(socket.SHUT_RDWR)",
    "a listener that does not wait": LISTENER + "listener()[1].setblocking(False)",
    "a listener of no patience": LISTENER + "moment = bytes(8) + b'\\1' + bytes(7)\n"
    "listener()[1].setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, moment)",
    "no streams": "os.closerange(0, 3)",
    "no descriptors at all": "os.closerange(0, 256)",
    "a stopped process": "os.kill(os.getpid(), signal.SIGSTOP)",
}


@pytest.mark.parametrize("left", LEFT)
def test_worker_that_a_script_has_left_unfit_is_replaced(reused: Server, left: str) -> None:
    for _ in range(WORKERS):
        run(reused, LEFT[left])
    assert_serves(reused)

    def all_serve() -> bool:  # not only the one that happens to be asked
        with ThreadPoolExecutor(WORKERS) as threads:
            answers = threads.map(partial(answer, reused), TENANTS * 2 * WORKERS)
            return all("tenant=" in text for text in answers)

    reused.wait_for(all_serve)


OK = "print('Content-Type: text/plain\\n')\n"


@pytest.mark.parametrize("left", ["no descriptor", "a filter of system calls"])
def test_worker_that_cannot_open_files_is_replaced_once_a_script_has_failed(
    shared_sites: Sites, left: str
) -> None:
    """Scripts whose code is kept are not opened each time, which is what would fail."""
    shared_sites.put("left.py", PRELUDE + OK + LEFT[left])
    shared_sites.put("opens.py", OK + "open(__file__).close()", tenant="t0002")
    with Server("dso", shared_sites, workers=1) as server:
        with server.connect() as connection, connection.makefile("rb") as stream:
            for script, tenant, status in (
                ("opens", "t0002", 200),
                ("left", "t0001", 200),
                ("opens", "t0002", 500),
            ):
                connection.sendall(request(f"/{script}.py", tenant, headers=""))
                assert read_reply(stream).status == status
        server.wait_for(lambda: server.get("/opens.py", "t0002").status == 200)
