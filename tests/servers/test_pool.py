"""The prefork master, as the harness meets it."""

import os
import signal
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from servers.pool import descendants
from tests.servers.live import Server, Sites, children, needs_root, request

pytestmark = needs_root


def test_ready_line_says_what_was_started(sites: Sites) -> None:
    with Server("dso", sites, workers=3) as server:
        assert server.ready["mode"] == "dso"
        assert server.ready["host"] == "127.0.0.1"
        assert server.ready["workers"] == len(server.workers()) == 3
        assert server.ready["www"] == {"uid": 47000, "gid": 47000, "groups": []}


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
            assert f"tenant={tenant} uid=4700" in server.get(tenant=tenant).text
        assert "CleanupFailed" in server.log()


def test_workers_that_do_not_start_end_the_server(sites: Sites) -> None:
    """Those of `harache` have to reduce their bounding set, and here they lack the right."""
    broken = Server("harache", sites, workers=2, prefix=("setpriv", "--bounding-set", "-setpcap"))
    try:
        assert broken.process.wait(10) == 2
        assert broken.ready == {
            "ready": False,
            "reason": "2 workers did not start",
            "hint": "read what the server wrote above",
        }
        assert "Operation not permitted" in broken.log()
    finally:
        broken.close()


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
