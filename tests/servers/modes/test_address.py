"""What is special to `address`: listeners of tenants that sleep, workers that come and go."""

import os
import signal
import socket
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import pytest

from servers.modes.address import addresses
from servers.modes.address.crowding import PATIENCE_SECONDS, Queue, expected_wait
from servers.modes.address.lobby import Lobby
from tests.servers.live import PATIENCE, Reply, Server, Sites, needs_root, read_reply, request
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


def ask_on(connection: socket.socket, target: str = "/hello.py", tenant: str = "t0001") -> Reply:
    """Ask on a connection, to be kept."""
    connection.sendall(request(target, tenant, headers=""))
    return read_reply(connection.makefile("rb"))


@needs_root
def test_kept_connections_and_slow_clients_hold_up_nobody(sites: Sites) -> None:
    with Server("address", sites, workers=1) as server, ExitStack() as stack:
        kept = [stack.enter_context(server.connect()) for _ in range(6)]
        slow = stack.enter_context(server.connect())
        slow.send(b"GET /hello.py HT")
        for connection in 2 * kept:
            assert ask_on(connection).status == 200
            assert server.get().status == 200
        slow.send(b"TP/1.1\r\nHost: t0001\r\n\r\n")
        assert read_reply(slow.makefile("rb")).status == 200
        assert server.usage()["worker_starts"] == 1


@needs_root
def test_a_request_on_a_kept_connection_does_not_wait_for_a_slow_script(sites: Sites) -> None:
    sites.put(
        "wait.py",
        """
        import os, time
        while not os.path.exists("done"):
            time.sleep(0.01)
        print("Content-Type: text/plain\\n\\nwaited")
        """,
    )
    sites.put("do.py", "open('done', 'x'); print('Content-Type: text/plain\\n\\ndid')")
    with Server("address", sites, workers=2) as server, ExitStack() as stack:
        kept = [stack.enter_context(server.connect()) for _ in range(5)]
        assert [ask_on(one).status for one in kept] == [200] * 5
        kept[0].sendall(request("/wait.py", headers=""))
        assert [ask_on(one).status for one in kept[1:]] == [200] * 4
        assert ask_on(kept[1], "/do.py").text == "did\n"
        assert read_reply(kept[0].makefile("rb")).text == "waited\n"
        assert [ask_on(one).status for one in kept] == [200] * 5


@needs_root
def test_kept_connections_outlive_a_worker_that_is_of_no_more_use(server: Server) -> None:
    server.sites.put("closed.py", "", mode=0)
    with server.connect() as kept:
        assert ask_on(kept).status == 200
        for _ in range(2):  # as many as there may be workers
            assert server.get("/closed.py").status == 403
        assert ask_on(kept).status == 200


@needs_root
def test_a_request_that_does_not_come_in_time_is_refused_and_an_idle_client_let_go(
    server: Server,
) -> None:
    with server.connect() as slow, server.connect() as idle:
        slow.send(b"GET /hello.py HT")
        assert ask_on(idle).status == 200
        assert read_reply(slow.makefile("rb")).status == 408
        assert idle.recv(1) == b""


@needs_root
@pytest.mark.parametrize(
    "deed", ["os.close(3)", "os.close(6)", "socket.socket(fileno=os.dup(5)).shutdown(2)"]
)
def test_what_a_script_does_to_its_only_worker_does_not_last(sites: Sites, deed: str) -> None:
    with Server("address", sites, workers=1) as server:
        server.run(f"import os, socket; print('Content-Type: a/b\\n'); {deed}")
        server.assert_serves(3)


def test_a_connection_goes_through_the_lobby_with_its_clients_address() -> None:
    lobby = Lobby.new()
    ours, theirs = socket.socketpair()
    with ours, theirs:
        assert lobby.is_empty()
        assert lobby.put(theirs.fileno(), ("127.0.0.1", 4711))
        assert not lobby.is_empty()
        handed = lobby.take()
        assert handed is not None
        assert handed.remote == ("127.0.0.1", 4711)
        with socket.socket(fileno=handed.descriptor) as taken:
            taken.send(b"hello")
        assert ours.recv(5) == b"hello"
        assert lobby.take() == (-1, ("", 0))
    lobby.close()


def test_a_lobby_that_is_shut_down_or_full_says_so() -> None:
    lobby = Lobby.new()
    assert lobby.is_sound()
    while lobby.put(0, ("127.0.0.1", 1)):
        pass
    assert not lobby.is_empty()
    with socket.socket(fileno=os.dup(lobby.descriptors()[0])) as entrance:
        entrance.shutdown(socket.SHUT_RDWR)
    while (handed := lobby.take()) is not None:
        os.close(handed.descriptor)
    assert not lobby.is_sound()
    assert not lobby.put(0, ("127.0.0.1", 1))
    lobby.close()


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
def test_scripts_meet_no_descriptor_but_those_of_their_tenant(server: Server) -> None:
    reply = server.run("""
        import os
        print("Content-Type: text/plain\\n")
        print(sorted(os.readlink(f"/proc/self/fd/{n}").partition(":")[0] for n in range(3, 9)
                     if os.path.exists(f"/proc/self/fd/{n}")
                     or os.path.lexists(f"/proc/self/fd/{n}")))
    """)
    # Listener, both ends of the lobby, and the client; the set that the worker waits on.
    assert (reply.text.count("socket"), reply.text.count("anon_inode")) == (4, 1)
