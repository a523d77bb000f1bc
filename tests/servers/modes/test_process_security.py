"""What the two thread modes do to their threads, as the kernel shows it, and what scripts can do.

`process_security_shipped` differs in little but the main thread, so it is tested here as well.
"""

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.servers.live import FIRST_UID, WWW, Server, Sites, needs_root

pytestmark = needs_root

PAPER, SHIPPED = "process_security", "process_security_shipped"
SWITCHING = 1 << 6 | 1 << 7  # CAP_SETGID and CAP_SETUID
OK = "print('Content-Type: text/plain\\n')"
OK_AND_WAIT = f"""
{OK}
import os, time
open("data/running", "w").close()
while not os.path.exists("data/go"):
    time.sleep(0.01)
"""


@pytest.fixture(scope="module", params=[PAPER, SHIPPED])
def server(request: pytest.FixtureRequest, shared_sites: Sites) -> Iterator[Server]:
    """One worker, so that whatever a request leaves behind meets the next one."""
    with Server(request.param, shared_sites, "--script-seconds", "1") as running:
        yield running


@pytest.fixture(scope="module")
def paper(reachable: Path) -> Iterator[Server]:
    directory = reachable / "paper"
    directory.mkdir(mode=0o755)
    with Server(PAPER, Sites(directory), "--script-seconds", "1") as running:
        yield running


def threads(worker: int) -> list[dict[str, str]]:
    """Return /proc/PID/task/TID/status of all threads of a worker, the main thread's first."""
    found = []
    for task in sorted(Path(f"/proc/{worker}/task").iterdir(), key=lambda path: int(path.name)):
        lines = (task / "status").read_text().splitlines()
        found.append({name: value.strip() for name, _, value in (x.partition(":") for x in lines)})
    return found


def ids(thread: dict[str, str]) -> tuple[set[int], set[int], str]:
    """Return a thread's uids, its gids and its groups."""
    return (
        set(map(int, thread["Uid"].split())),
        set(map(int, thread["Gid"].split())),
        thread["Groups"],
    )


def capabilities(thread: dict[str, str]) -> tuple[int, int]:
    """Return a thread's effective and permitted set."""
    return int(thread["CapEff"], 16), int(thread["CapPrm"], 16)


def while_running(server: Server) -> list[dict[str, str]]:
    """Return the threads of the worker while a script runs in one of them."""
    data = server.sites.root / "t0001" / "data"
    (worker,) = server.workers()
    server.sites.put("case.py", OK_AND_WAIT)
    with server.connect() as connection:
        connection.sendall(b"GET /case.py HTTP/1.1\r\nHost: t0001.localhost\r\n\r\n")
        server.wait_for((data / "running").exists)
        found = threads(worker)
        (data / "go").touch()
        assert connection.recv(12) == b"HTTP/1.1 200"
    for name in ("running", "go"):
        (data / name).unlink()
    return found


def assert_serves(server: Server) -> None:
    for number, tenant in enumerate(("t0001", "t0002")):
        proof = f"isobench tenant={tenant} uid={FIRST_UID + number} gid={FIRST_UID + number} "
        assert proof in server.get(tenant=tenant).text, server.log()


def test_threads_as_the_kernel_shows_them(server: Server) -> None:
    main, content = while_running(server)
    tenant = ({FIRST_UID}, {FIRST_UID}, "")
    assert ids(content) == tenant
    assert capabilities(content) == (0, 0)
    if server.mode == PAPER:
        assert ids(main) == ({WWW.uid}, {WWW.gid}, "")
        assert capabilities(main) == (0, SWITCHING)
    else:
        assert ids(main) == tenant
        assert capabilities(main) == (SWITCHING, SWITCHING)


def test_at_rest_there_is_one_thread_which_is_www(server: Server) -> None:
    assert_serves(server)
    (worker,) = server.workers()
    server.wait_for(lambda: len(threads(worker)) == 1)
    (main,) = threads(worker)
    assert ids(main) == ({WWW.uid}, {WWW.gid}, "")
    assert capabilities(main) == (0, SWITCHING)


def test_thread_cannot_go_back(server: Server) -> None:
    """Neither through libc, which asks all threads, nor by the system calls themselves."""
    reply = server.run(f"""
        import ctypes, os
        from servers.kernel import syscalls as linux
        from servers.kernel.credentials import RAISED
        from servers.modes.process_security.thread_identity import _numbers, _system_call
        {OK}
        numbers = _numbers()
        def make(*call):
            if _system_call(*call):
                linux.raise_errno()
        for name, change in {{
            "capset": lambda: linux.capset(RAISED),
            "setgroups": lambda: make(numbers.setgroups, 0, None),
            "setresgid": lambda: make(numbers.setresgid, {WWW.gid}, {WWW.gid}, {WWW.gid}),
            "setresuid": lambda: make(numbers.setresuid, {WWW.uid}, {WWW.uid}, {WWW.uid}),
            "root": lambda: make(numbers.setresuid, 0, 0, 0),
        }}.items():
            try:
                change()
                print(name, "allowed")
            except PermissionError:
                print(name, "denied")
    """)
    changes = ("capset", "setgroups", "setresgid", "setresuid", "root")
    assert reply.text.splitlines() == [f"{name} denied" for name in changes]


def test_change_that_threads_do_not_agree_on_ends_the_worker(server: Server) -> None:
    """The script's thread may stay who it is; the main thread, asked as well, may not follow.

    Or the other way round: in the shipped mode the main thread could even become root. glibc
    aborts the process at once for either.
    """
    uid = "os.getuid()" if server.mode == PAPER else 0
    (worker,) = server.workers()
    assert server.run(f"import os; os.setuid({uid}); {OK}").status == 0
    server.wait_for(lambda: "ended: signal SIGABRT" in server.log())
    server.wait_for(lambda: len(server.workers()) == 1 and server.workers() != [worker])
    assert_serves(server)


def test_change_that_no_thread_may_make_is_denied(paper: Server) -> None:
    (worker,) = paper.workers()
    assert paper.run(f"import os; os.setuid(0); {OK}").status == 500
    assert "PermissionError" in paper.log()
    assert paper.workers() == [worker]


def test_directory_and_umask_are_the_threads_own(paper: Server) -> None:
    (worker,) = paper.workers()
    before = Path(f"/proc/{worker}/cwd").readlink(), threads(worker)[0]["Umask"]
    assert paper.run(f"import os; os.chdir('data'); os.umask(0o777); {OK}").status == 200
    assert paper.workers() == [worker]
    assert (Path(f"/proc/{worker}/cwd").readlink(), threads(worker)[0]["Umask"]) == before


@pytest.mark.parametrize(
    ("source", "is_kept"),
    [
        pytest.param("while True: pass", True, id="busy"),
        pytest.param("import time\nwhile True: time.sleep(0.01)", True, id="sleeping by turns"),
        pytest.param("import time; time.sleep(1000)", False, id="in one system call"),
        pytest.param(
            "def spin():\n  while True: pass\n"
            "while True:\n  try: spin()\n  except BaseException: pass",
            False,
            id="catching everything",
        ),
    ],
)
def test_time_runs_out(server: Server, source: str, is_kept: bool) -> None:
    """The client gets its answer at once, whether or not the thread can be ended."""
    (worker,) = server.workers()
    began = time.monotonic()
    assert server.run(source).status == 504
    assert time.monotonic() - began < 10
    server.wait_for(
        lambda: len(server.workers()) == 1 and (server.workers() == [worker]) is is_kept
    )
    assert_serves(server)


def test_thread_that_a_script_leaves(server: Server) -> None:
    """It keeps the tenant's identity; in the shipped mode glibc aborts, as it cannot go along."""
    (worker,) = server.workers()
    reply = server.run(f"""
        import threading, time
        def start(sleep=time.sleep):
            threading.Thread(target=lambda: sleep(2), daemon=True).start()
        start()
        {OK}
    """)
    if server.mode == PAPER:
        assert reply.status == 200
        main, left = threads(worker)
        assert (ids(left)[0], capabilities(left)) == ({FIRST_UID}, (0, 0))
        assert (ids(main)[0], capabilities(main)) == ({WWW.uid}, (0, SWITCHING))
        server.wait_for(lambda: len(threads(worker)) == 1)
    else:
        assert reply.status == 0
        server.wait_for(lambda: len(server.workers()) == 1 and server.workers() != [worker])
    assert_serves(server)


def test_script_that_becomes_another_program(server: Server) -> None:
    """It takes the worker's process id, without its capabilities, until its time is up."""
    (worker,) = server.workers()
    assert server.run("import os; os.execv('/bin/sleep', ['sleep', '1000'])").status == 0
    server.wait_for(lambda: len(server.workers()) == 1 and server.workers() != [worker])
    assert_serves(server)


def test_what_a_script_finds_in_a_thread(server: Server) -> None:
    reply = server.run(f"""
        import asyncio, os, signal, sys, threading
        {OK}
        print(threading.main_thread() is threading.current_thread(), threading.main_thread().name)
        try:
            signal.signal(signal.SIGUSR2, signal.SIG_DFL)
        except ValueError as error:
            print("ValueError")
        print(asyncio.run(asyncio.sleep(0, "asyncio")))
        sys.setrecursionlimit(20_000)
        deep = lambda depth: depth and 1 + deep(depth - 1)
        print(deep(15_000))
        sys.setrecursionlimit(1000)
        print(os.waitstatus_to_exitcode(os.system("exit 7")))
        worker = threading.Thread(target=lambda: print(os.getuid()))
        worker.start()
        worker.join()
    """)
    assert reply.text.splitlines() == [
        *("False MainThread", "ValueError", "asyncio", "15000", "7", str(FIRST_UID)),
    ], server.log()


def test_shared_memory_is_the_hole(server: Server) -> None:
    """What a script puts in the way of the main thread runs there, able to switch."""
    with Server(server.mode, server.sites) as other:
        other.run(f"""
            from servers.front.workers import replies; from servers.kernel import syscalls as linux
            from servers.kernel.credentials import RAISED, Identity, become
            def render(*_, linux=linux, become=become, raised=RAISED,
                       neighbour=Identity({FIRST_UID + 1}, {FIRST_UID + 1})):
                linux.capset(raised)
                become(neighbour)
                return b"HTTP/1.1 200 OK\\r\\n\\r\\n"
            replies.render = render
            {OK}
        """)
        (worker,) = other.workers()
        assert ids(threads(worker)[0])[0] == {FIRST_UID + 1}
