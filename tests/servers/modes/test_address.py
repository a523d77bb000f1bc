"""What is special to `address`: listeners of tenants that sleep, workers that come and go."""

import os
import signal
import socket
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from servers.modes.address import addresses
from servers.modes.address.crowding import PATIENCE_SECONDS, Queue, expected_wait
from tests.servers.live import PATIENCE, Server, Sites, needs_root, read_reply, request
from workloads.addresses import address_of

SLOW = "import time; time.sleep(0.3); print('Content-Type: text/plain\\n\\nslow')"


@pytest.fixture(name="server", scope="module")
def _server(shared_sites: Sites) -> Iterator[Server]:
    limits = ("--script-seconds", "1", "--client-seconds", "1")
    with Server("address", shared_sites, *limits, workers=2) as running:
        yield running


def uid_of(pid: int) -> int:
    return Path(f"/proc/{pid}").stat().st_uid


@pytest.mark.parametrize("uid", [0, 1, 255, 256, 47_001, 2**22 - 1])
def test_clients_find_a_tenant_where_the_server_listens(uid: int) -> None:
    assert addresses.address_of(uid) == address_of(uid)
    assert socket.inet_aton(address_of(uid))[0] == 127


def test_the_wait_follows_from_how_many_wait_and_how_fast_they_are_accepted() -> None:
    assert expected_wait(0, 0, 1.0) == 0.0
    assert expected_wait(7, 0, 0.02) == 0.02
    assert expected_wait(8, 40, 0.02) == pytest.approx(0.004)


def test_another_worker_is_called_for_when_nobody_is_accepted() -> None:
    queue = Queue(now=10.0, accepted=5)
    assert not queue.is_too_long(10.0 + 0.5 * PATIENCE_SECONDS, waiting=1, accepted=5)
    assert queue.is_too_long(10.0 + 1.1 * PATIENCE_SECONDS, waiting=1, accepted=5)
    assert not queue.is_too_long(10.0 + 1.6 * PATIENCE_SECONDS, waiting=1, accepted=5)


def test_no_other_worker_is_called_for_while_one_keeps_up() -> None:
    queue = Queue(now=10.0, accepted=0)
    assert not queue.is_too_long(10.02, waiting=7, accepted=60)


@needs_root
def test_a_tenant_has_no_worker_before_it_is_asked_for(sites: Sites) -> None:
    with Server("address", sites) as server:
        assert server.tenants_workers() == []
        assert server.get().status == 200
        assert list(map(uid_of, server.tenants_workers())) == [sites.tenants[0].uid]


@needs_root
def test_the_servers_own_address_says_where_a_tenant_is(server: Server) -> None:
    with socket.create_connection(("127.0.0.1", server.port)) as connection:
        connection.sendall(request())
        reply = read_reply(connection.makefile("rb"))
    assert reply.status == 421
    assert f"http://{server.host_of('t0001')}:{server.port}/" in reply.text


@needs_root
def test_another_tenants_name_finds_nothing_at_an_address(server: Server) -> None:
    with server.connect("t0001") as connection:
        connection.sendall(request(tenant="t0002"))
        assert read_reply(connection.makefile("rb")).status == 404


@needs_root
def test_slow_scripts_of_one_tenant_run_side_by_side_up_to_the_bound(server: Server) -> None:
    server.sites.put("slow.py", SLOW)
    with ThreadPoolExecutor(6) as pool:
        replies = list(pool.map(lambda _: server.get("/slow.py"), range(6)))
    assert [reply.text for reply in replies] == ["slow\n"] * 6
    owners = [uid_of(pid) for pid in server.tenants_workers()]
    assert owners.count(server.sites.tenants[0].uid) == 2


@needs_root
def test_the_least_recently_used_makes_room_and_no_request_is_lost(sites: Sites) -> None:
    with Server("address", sites, "--option", "bound=1") as server:
        for _ in range(5):
            for tenant in ("t0001", "t0002"):
                assert f"tenant={tenant} " in server.get(tenant=tenant).text
                assert len(server.tenants_workers()) <= 1
        usage = server.usage()
        assert (usage["served"], usage["worker_starts"], usage["evictions"]) == (10, 10, 9)


@needs_root
def test_a_worker_that_makes_room_lets_go_of_a_client_that_has_its_answer(sites: Sites) -> None:
    with Server("address", sites, "--option", "bound=1") as server, server.connect() as kept:
        kept.sendall(request(headers=""))
        assert read_reply(stream := kept.makefile("rb")).status == 200
        assert server.get(tenant="t0002").status == 200
        assert stream.read() == b""


@needs_root
def test_an_idle_worker_ends_and_the_next_request_starts_another(sites: Sites) -> None:
    with Server("address", sites, "--option", "idle=1") as server:
        assert server.get().status == 200
        server.wait_for(lambda: not server.tenants_workers())
        assert server.get().status == 200


@needs_root
def test_a_worker_that_is_killed_is_replaced(server: Server) -> None:
    assert server.get(tenant="t0002").status == 200
    uid = server.sites.identity("t0002").uid
    (victim,) = [pid for pid in server.tenants_workers() if uid_of(pid) == uid]
    os.kill(victim, signal.SIGKILL)
    server.wait_for(lambda: victim not in server.tenants_workers())
    assert server.get(tenant="t0002").status == 200


@needs_root
@pytest.mark.parametrize(
    "deed",
    [
        "listener.shutdown(socket.SHUT_RDWR)",
        "listener.setblocking(False)",
        "listener.close(); os.close(3)",
    ],
)
def test_a_listener_that_a_script_breaks_is_put_right(server: Server, deed: str) -> None:
    source = f"""
        import os, socket
        print("Content-Type: text/plain\\n")
        listener = socket.socket(fileno=os.dup(3))
        {deed}
        listener.detach()
        print("done")
    """
    server.run(source)
    deadline = time.monotonic() + PATIENCE
    while True:
        try:
            if server.get().status == 200:
                break
        except ConnectionError:
            pass
        assert time.monotonic() < deadline, server.log()
        time.sleep(0.05)
    assert server.get(tenant="t0002").status == 200


@needs_root
def test_slow_clients_of_one_tenant_do_not_delay_another(server: Server) -> None:
    idle = [server.connect("t0001") for _ in range(8)]
    try:
        for connection in idle:
            connection.send(b"GET /hello.py HT")
        assert server.get(tenant="t0002").status == 200
    finally:
        for connection in idle:
            connection.close()


@needs_root
def test_sites_of_one_owner_are_refused(sites: Sites) -> None:
    os.chown(sites.root / "t0002", sites.tenants[0].uid, -1)
    server = Server("address", sites)
    assert server.close() == 2
    assert "same owner" in server.ready["reason"]


@needs_root
def test_an_address_that_is_taken_is_named(sites: Sites) -> None:
    with socket.socket() as taken, socket.socket() as main:
        main.bind(("127.0.0.1", 0))
        port = main.getsockname()[1]
        taken.bind((address_of(sites.tenants[1].uid), port))
        main.close()
        server = Server("address", sites, "--port", str(port))
        assert server.close() == 2
    assert f"{address_of(sites.tenants[1].uid)}:{port}" in server.ready["reason"]


@needs_root
def test_scripts_meet_no_descriptor_but_their_listener_and_their_client(server: Server) -> None:
    reply = server.run("""
        import os
        print("Content-Type: text/plain\\n")
        print(sorted(os.readlink(f"/proc/self/fd/{n}").partition(":")[0] for n in range(3, 9)
                     if os.path.exists(f"/proc/self/fd/{n}")
                     or os.path.lexists(f"/proc/self/fd/{n}")))
    """)
    assert reply.text.count("socket") == 2
