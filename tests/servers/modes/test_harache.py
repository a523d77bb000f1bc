"""`harache:fork=connection`: a process for a connection, which stays the first tenant's."""

import json
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import IO

import pytest

from servers.front.shared_memory.scoreboard import Scoreboard
from servers.front.workers import connection_worker
from tests.servers.live import Server, Sites, needs_root, read_reply, request

pytestmark = needs_root

WHO = """
import os
print("Content-Type: text/plain\\n")
print(os.getpid(), os.geteuid())
"""


@pytest.fixture(name="server")
def _server(sites: Sites) -> Iterator[Server]:
    for tenant in ("t0001", "t0002"):
        sites.put("who.py", WHO, tenant=tenant)
    with Server("harache", sites, "--option", "fork=connection") as running:
        yield running


def ask(stream: IO[bytes], connection: socket.socket, tenant: str) -> str:
    connection.sendall(request(target="/who.py", tenant=tenant, headers=""))
    return read_reply(stream).text


def test_a_connection_keeps_its_process_and_each_has_another(server: Server) -> None:
    found = []
    for _ in range(2):
        with server.connect() as connection, connection.makefile("rb") as stream:
            found.append([ask(stream, connection, "t0001") for _ in range(3)])
    assert [len(set(of_one)) for of_one in found] == [1, 1]
    assert found[0][0] != found[1][0]


def test_another_tenants_request_ends_the_connection_unanswered(server: Server) -> None:
    with server.connect() as connection, connection.makefile("rb") as stream:
        assert ask(stream, connection, "t0001")
        connection.sendall(request(target="/who.py", tenant="t0002", headers=""))
        assert stream.read() == b""
    with server.connect() as connection:
        assert ask(connection.makefile("rb"), connection, "t0002")


def test_what_a_connection_has_served_is_counted(server: Server) -> None:
    with server.connect() as connection, connection.makefile("rb") as stream:
        for _ in range(5):
            ask(stream, connection, "t0001")
        server.wait_for(lambda: server.usage()["served"] == 5)
    ask_once = server.ask(request(target="/who.py", tenant="t0001"))
    assert ask_once.status == 200
    server.wait_for(lambda: server.usage()["served"] == 6)


def test_a_script_has_no_more_time_than_elsewhere(sites: Sites) -> None:
    sites.put("sleep.py", "import time\ntime.sleep(60)\n", tenant="t0001")
    with Server("harache", sites, "--option", "fork=connection", "--script-seconds", "1") as server:
        assert server.ask(request(target="/sleep.py", tenant="t0001")).status == 504
        assert server.ask(request(target="/hello.py", tenant="t0001")).status == 200


def test_a_script_cannot_win_time_by_what_it_says_of_itself(sites: Sites) -> None:
    lying = (
        "import gc, signal, time\n"
        "signal.signal(signal.SIGALRM, signal.SIG_IGN)\n"
        "for one in gc.get_objects():\n"
        "    if type(one).__name__ == 'Slot':\n"
        "        one.follow(0, 0)\n"
        "time.sleep(60)\n"
    )
    sites.put("lying.py", lying, tenant="t0001")
    with Server("harache", sites, "--option", "fork=connection", "--script-seconds", "1") as server:
        began = time.monotonic()
        with server.connect() as connection:
            connection.sendall(request(target="/lying.py", tenant="t0001"))
            assert connection.makefile("rb").read() == b""
        assert time.monotonic() - began < 30
        assert server.ask(request(target="/hello.py", tenant="t0001")).status == 200


def test_no_more_requests_are_believed_than_bytes_came_for() -> None:
    tally = Scoreboard(1).slots[0]
    for _ in range(1000):
        tally.count()
    with (
        socket.create_server(("127.0.0.1", 0)) as listener,
        socket.create_connection(listener.getsockname()) as client,
        listener.accept()[0] as connection,
    ):
        client.sendall(b"x" * 100)
        connection.recv(100, socket.MSG_WAITALL)
        assert connection_worker._believable(connection, tally) == 5


def test_a_script_finds_the_clients_connection_and_nothing_else_open(
    server: Server, sites: Sites
) -> None:
    source = (
        "import json, os\n"
        "print('Content-Type: text/plain\\n')\n"
        "links = [f'/proc/self/fd/{one}' for one in os.listdir('/proc/self/fd')]\n"
        "print(json.dumps([os.readlink(one) for one in links if os.path.lexists(one)]))\n"
    )
    sites.put("open.py", source, tenant="t0001")
    found = json.loads(server.ask(request(target="/open.py", tenant="t0001")).text)
    assert len([name for name in found if name.startswith("socket:")]) == 1
    others = [name for name in found if not name.startswith(("socket:", "/dev/null", "pipe:"))]
    assert all(name.endswith(".log") or Path(name).name == "fd" for name in others), others


def test_those_that_fork_for_each_request_load_nothing_of_it() -> None:
    code = (
        "import sys\n"
        "from servers import modes\n"
        "modes.load('harache')\n"
        "print('servers.front.workers.connection_worker' in sys.modules)\n"
    )
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ended.stdout.strip() == "False"
