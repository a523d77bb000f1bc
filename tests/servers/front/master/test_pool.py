"""The prefork master, as the harness meets it."""

import contextlib
import os
import signal
import socket
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from servers.front.master.pool import Pool, bound_log
from servers.front.shared_memory.scoreboard import Slot
from servers.kernel.credentials import Identity
from servers.kernel.process_table import descendants
from servers.mode import Setting
from servers.modes import dso
from servers.sites import Sites as Served
from tests.servers.live import (
    PATIENCE,
    PYTHON,
    WWW,
    Server,
    Sites,
    children,
    needs_root,
    read_reply,
    request,
    state_of,
    where_readable,
)

pytestmark = needs_root

NO_NAMESPACES = where_readable("setpriv", "--bounding-set", "-sys_admin")


def test_ready_line_says_what_was_started(sites: Sites) -> None:
    with Server("dso", sites, workers=3) as server:
        assert server.ready["mode"] == "dso"
        assert server.ready["host"] == "127.0.0.1"
        assert server.ready["workers"] == len(server.workers()) == 3
        assert server.ready["www"] == {"uid": WWW.uid, "gid": WWW.gid, "groups": []}


def test_usage_counts_what_was_served_and_made(sites: Sites) -> None:
    with Server("cgi", sites, workers=2) as server:
        before = server.usage()
        for _ in range(10):
            server.get()
        # The last client has its answer before the worker has counted it.
        server.wait_for(lambda: server.usage()["served"] == before["served"] + 10)
        after = server.usage()
        assert after["processes_made"] - before["processes_made"] == 10
        assert after["cpu_s"] > before["cpu_s"]
        assert after["page_faults"] > before["page_faults"]
        assert after["context_switches"] > before["context_switches"]


def test_commands_sent_at_once_are_all_obeyed(sites: Sites) -> None:
    with Server("dso", sites) as server:
        server.command("usage\nusage\nunknown\n")
        assert server.process.stdout is not None
        assert [server.process.stdout.readline()[:10] for _ in range(2)] == ['{"served":'] * 2
        assert server.usage()["served"] == 0


def test_usage_survives_the_death_of_a_worker(sites: Sites) -> None:
    with Server("dso", sites) as server:
        server.run("while sum(range(1000)) and __import__('time').process_time() < 0.3: pass")
        server.wait_for(lambda: server.usage()["served"] == 1)
        before = server.usage()
        (worker,) = server.workers()
        os.kill(worker, signal.SIGKILL)
        server.wait_for(lambda: server.workers() not in ([], [worker]))
        after = server.usage()
        assert after["served"] == before["served"] == 1
        assert after["cpu_s"] >= before["cpu_s"] >= 0.1


@pytest.mark.parametrize("mode", ["dso", "harache", "ruid2"])
def test_dead_workers_are_replaced(sites: Sites, mode: str) -> None:
    with Server(mode, sites, workers=2) as server:
        before = server.workers()
        for worker in before:
            os.kill(worker, signal.SIGKILL)
        server.wait_for(lambda: not set(server.workers()) & set(before))
        server.wait_for(lambda: len(server.workers()) == 2)
        assert server.get().status == 200
        assert "signal SIGKILL" in server.log()


def test_worker_that_cannot_go_back_is_replaced(sites: Sites) -> None:
    """A script of `ruid2` gives up the capabilities by which the worker would become www again."""
    with Server("ruid2", sites) as server:
        before = server.workers()
        reply = server.run("""
            import ctypes
            header = (ctypes.c_uint32 * 2)(0x20080522, 0)
            assert ctypes.CDLL(None).capset(header, (ctypes.c_uint32 * 6)()) == 0
            print("Content-Type: text/plain\\n")
        """)
        assert reply.status == 200
        server.wait_for(lambda: server.workers() not in ([], before))
        for tenant in ("t0001", "t0002"):
            assert f"tenant={tenant} uid={server.sites.identity(tenant).uid} " in (
                server.get(tenant=tenant).text
            )
        assert "CleanupFailed" in server.log()


def test_workers_that_do_not_start_end_the_server(sites: Sites) -> None:
    """Those of `harache` have to reduce their bounding set, and here they lack the right."""
    broken = Server("harache", sites, workers=2, prefix=("setpriv", "--bounding-set", "-setpcap"))
    try:
        assert broken.process.wait(PATIENCE) == 2
        assert broken.ready == {
            "ready": False,
            "reason": "5 workers in a row did not start",
            "hint": "read what the server wrote above",
        }
        assert "Operation not permitted" in broken.log()
    finally:
        broken.close()


@pytest.mark.parametrize(
    ("mode", "options"),
    [("dso", ()), ("suid2", ()), ("suid2", ("--option", "worker_start=exec")), ("ruid2_drop", ())],
)
def test_workers_end_with_a_killed_master(
    sites: Sites, mode: str, options: tuple[str, ...]
) -> None:
    """Also where no pid namespace sees to it."""
    server = Server(mode, sites, *options, workers=2, prefix=NO_NAMESPACES)
    try:
        assert not server.ready["own_pid_namespace"]
        (master,) = children(server.process.pid)
        workers = children(master)
        assert len(workers) == 2
        server.process.kill()
        server.wait_for(lambda: not any(is_running(worker) for worker in workers))
    finally:
        server.close()


def is_running(pid: int) -> bool:
    """Return whether a process is more than a zombie that nobody has reaped yet."""
    return state_of(pid) not in ("", "Z")


# Workers that end with their request

MOST_KILLED = 10
OF_ONE_REQUEST = [
    pytest.param("suid2", "fork", 100, id="suid2"),
    pytest.param("suid2", "exec", 12, id="suid2:worker_start=exec"),
    pytest.param("ruid2_drop", "fork", 100, id="ruid2_drop"),
]


@pytest.mark.parametrize(("mode", "start", "clients"), OF_ONE_REQUEST)
def test_burst_waits_for_new_workers(sites: Sites, mode: str, start: str, clients: int) -> None:
    """Each of many connections made at once is answered, once, by a process of its own."""
    with Server(mode, sites, "--option", f"worker_start={start}", workers=2) as server:
        before = server.usage()
        assert burst(server, clients) == [200] * clients
        server.wait_for(lambda: server.usage()["served"] - before["served"] == clients)
        server.wait_for(lambda: made_since(server, before) == clients)


@pytest.mark.parametrize(("mode", "start", "clients"), OF_ONE_REQUEST)
def test_burst_loses_only_what_killed_workers_had(
    sites: Sites, mode: str, start: str, clients: int
) -> None:
    with Server(mode, sites, "--option", f"worker_start={start}", workers=2) as server:
        with ThreadPoolExecutor(1) as threads:
            answers = threads.submit(burst, server, clients)
            killed = 0
            while not answers.done() and killed < MOST_KILLED:
                killed += kill_one(server.workers())
                time.sleep(0.02)
        assert set(answers.result()) <= {200, 0}
        assert answers.result().count(0) <= killed
        assert server.get().status == 200


def burst(server: Server, clients: int) -> list[int]:
    """Connect many times at once, ask on each connection, and return the statuses; 0 for none."""
    with contextlib.ExitStack() as stack:
        connections = [stack.enter_context(server.connect()) for _ in range(clients)]
        for number, connection in enumerate(connections):
            connection.sendall(request(tenant=("t0001", "t0002")[number % 2]))
        return [status_on(connection) for connection in connections]


def status_on(connection: socket.socket) -> int:
    """Return the status of the one answer that a connection brings; 0 where it is cut off."""
    with connection.makefile("rb") as stream, contextlib.suppress(ConnectionError):
        status = read_reply(stream).status
        assert stream.read() == b""
        return status
    return 0


def made_since(server: Server, before: dict[str, Any]) -> int:
    made: int = server.usage()["processes_made"] - before["processes_made"]
    return made


def kill_one(workers: list[int]) -> int:
    """Kill one of the workers; return how many were killed."""
    try:
        os.kill(workers[0], signal.SIGKILL)
    except (IndexError, ProcessLookupError):
        return 0
    return 1


def test_usage_of_ended_workers_is_counted(sites: Sites) -> None:
    with Server("suid2", sites) as server:
        before = server.usage()
        burning = (
            "import time\nend = time.process_time() + 0.1\nwhile time.process_time() < end: 0\n"
        )
        for _ in range(5):
            assert server.run(f"{burning}print('Content-Type: a/b\\n')").status == 200
        server.wait_for(lambda: server.usage()["served"] - before["served"] == 5)
        server.wait_for(lambda: server.usage()["cpu_s"] - before["cpu_s"] >= 0.5)


def test_usage_does_not_keep_ended_workers_from_being_replaced(sites: Sites) -> None:
    with Server("suid2", sites, workers=2) as server, ThreadPoolExecutor(1) as threads:
        answers = threads.submit(burst, server, 60)
        served = []
        while not answers.done():
            served.append(server.usage()["served"])
        assert answers.result() == [200] * 60
        assert served == sorted(served)


SHORT_OF_PROCESSES = """
import errno, os
fork, calls = os.fork, 0
def scarce():
    global calls
    calls += 1
    if calls % 3 == 0:
        raise BlockingIOError(errno.EAGAIN, "short of processes")
    return fork()
os.fork = scarce
"""

WITH_A_SHORT_MASTER = f"""
import runpy, sys
from servers import launch as orders
orders._PROGRAM = {SHORT_OF_PROCESSES!r} + orders._PROGRAM
sys.argv = sys.argv[sys.argv.index("servers"):]
runpy.run_module("servers", run_name="__main__", alter_sys=True)
"""


def test_worker_that_cannot_be_made_now_is_made_later(sites: Sites) -> None:
    prefix = (PYTHON, "-S", "-P", "-c", WITH_A_SHORT_MASTER)
    with Server("suid2", sites, workers=2, prefix=prefix) as server:
        assert [server.get().status for _ in range(6)] == [200] * 6
        assert "cannot start a worker" in server.log()
        server.wait_for(lambda: len(server.workers()) == 2)


def test_script_cannot_end_the_server_by_workers_that_seem_not_to_start(sites: Sites) -> None:
    """What says that a worker has started is in memory that its scripts can reach."""
    sites.put(
        "case.py",
        """
        import gc, os
        from servers.front.shared_memory.scoreboard import Slot
        for slot in [thing for thing in gc.get_objects() if isinstance(thing, Slot)]:
            slot.renew()
        os._exit(1)
        """,
    )
    with Server("suid2", sites) as server:
        for _ in range(8):
            assert server.get("/case.py").status == 0
        assert server.get().status == 200


# Stopping


def test_stop_does_not_wait_for_scripts(sites: Sites) -> None:
    sites.put("asleep.py", "import time; time.sleep(1000)")
    with Server("cgi", sites, workers=1) as server, ThreadPoolExecutor() as threads:
        answer = threads.submit(server.get, "/asleep.py")
        server.wait_for(lambda: any(children(worker) for worker in server.workers()))
        begun = time.monotonic()
        assert server.stop() == 0
        assert time.monotonic() - begun < 10
        assert answer.result().status == 0


def test_orphans_do_not_become_zombies(sites: Sites) -> None:
    with Server("cgi", sites) as server:
        server.run("""
            import os
            print("Content-Type: text/plain\\n", flush=True)
            if os.fork() == 0:
                os._exit(0)
        """)
        server.wait_for(lambda: len(server.everybody()) == 2)


def test_clients_share_the_workers(sites: Sites) -> None:
    with Server("ruid2", sites, workers=2) as server, ThreadPoolExecutor(8) as threads:
        tenants = ["t0001", "t0002"] * 40
        replies = threads.map(lambda tenant: server.ask(request(tenant=tenant)).text, tenants)
        assert [reply.split()[1] for reply in replies] == [f"tenant={name}" for name in tenants]


def test_descendants_are_found_at_any_depth() -> None:
    told, tell = os.pipe()
    child = os.fork()
    if child == 0:
        grandchild = os.fork()
        if grandchild:
            os.write(tell, b"%d" % grandchild)
        time.sleep(1000)
    grandchild = int(os.read(told, 20))
    try:
        assert set(descendants(os.getpid())) >= {child, grandchild}
        assert descendants(child) == [grandchild]
        assert descendants(grandchild) == []
    finally:
        for process in (grandchild, child):
            os.kill(process, signal.SIGKILL)
        os.waitpid(child, 0)
        os.close(told)
        os.close(tell)


def test_a_log_that_is_too_long_is_emptied(tmp_path: Path) -> None:
    log = tmp_path / "log"
    with log.open("a") as file:
        file.write("x" * 100_000)
        file.flush()
        bound_log(file.fileno(), 1_000_000)
        assert log.stat().st_size == 100_000
        bound_log(file.fileno(), 10_000)
        assert log.stat().st_size == 0


def test_what_is_no_file_or_not_open_is_no_log_to_empty() -> None:
    told, tell = os.pipe()
    for descriptor in (told, tell):
        bound_log(descriptor, 0)
        os.close(descriptor)
    bound_log(tell, 0)


def test_worker_that_has_served_before_its_master_goes_on_is_replaced_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a busy host a new worker may be done with its only request before fork returns here."""
    handlers = [(number, signal.getsignal(number)) for number in (signal.SIGALRM, signal.SIGUSR1)]
    listener = socket.create_server(("127.0.0.1", 0))
    mode = dso.Mode(Setting(str(tmp_path), Identity(46000, 46000), str(tmp_path)))
    pool = Pool(mode, listener, Served(tmp_path), workers=1)
    for number, handler in handlers:
        signal.signal(number, handler)
    (slot,) = pool._board.slots
    made = iter([1001, 1002])

    def forked(_: Slot) -> int:
        slot.start()
        slot.begin()
        slot.end()
        return next(made)

    monkeypatch.setattr(pool, "_new_process", forked)
    pool._start(slot)
    pool._replace(1001, pool._workers.pop(1001))
    assert list(pool._workers) == [1002]
    listener.close()
