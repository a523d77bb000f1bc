"""What scripts do to the processes of the server by their own: every mode goes on serving."""

import time
from collections.abc import Iterator

import pytest

from servers import modes
from tests.servers.live import PATIENCE, Server, Sites, needs_root, state_of

pytestmark = needs_root

TENANTS = ("t0001", "t0002")
WORKERS = 2


@pytest.fixture(scope="module", params=modes.names())
def server(request: pytest.FixtureRequest, shared_sites: Sites) -> Iterator[Server]:
    limits = ("--script-seconds", "1", "--client-seconds", "1")
    with Server(request.param, shared_sites, *limits, workers=WORKERS) as running:
        yield running


def assert_serves(server: Server) -> None:
    """Show that the server, which may take some seconds to get rid of a script, serves both."""
    for tenant in TENANTS * WORKERS:
        wanted = f"tenant={tenant} "
        deadline = time.monotonic() + PATIENCE
        while wanted not in server.get(tenant=tenant).text:
            assert time.monotonic() < deadline, server.log()


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
                signal.alarm(20)
                close_all_but(tell)
                while os.getppid() == parent:
                    time.sleep(0.001)
                work(tell)
                os.write(tell, b".")
                time.sleep(20)
            finally:
                os._exit(0)
        os._exit(0)
    os.wait()
    return told
print("Content-Type: text/plain\\n", flush=True)
"""


def run(server: Server, source: str) -> None:
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
    for _ in range(2 * WORKERS):
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
        signal.alarm(25)
        close_all_but(tell)
        def seize():
            libc.ptrace(PTRACE_SEIZE, target, 0, 0)
            os.write(tell, b".")
            time.sleep(25)
        if thread:
            import threading
            threading.Thread(target=seize).start()
            time.sleep(25)
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
        run(server, HELD_BACK.replace("os.write", stop) + "hold(); time.sleep(20)")
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
