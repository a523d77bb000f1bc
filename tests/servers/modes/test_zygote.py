"""What is special to `zygote`: what its processes hold, what they share, and their ends."""

import json
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from servers.kernel.credentials import Identity
from servers.kernel.syscalls import CAP_KILL, CAP_SETGID, CAP_SETUID, capability_mask
from servers.mode import Setting
from servers.modes.zygote import Zygote, ZygoteEnded
from tests.servers.forked import in_child
from tests.servers.live import FIRST_UID, WWW, Server, Sites, needs_root, request, status_of

pytestmark = needs_root

OK = "print('Content-Type: text/plain\\n')\n"


@pytest.fixture(scope="module")
def server(shared_sites: Sites) -> Iterator[Server]:
    with Server("zygote", shared_sites, "--script-seconds", "1") as running:
        yield running


def only_zygote(server: Server) -> int:
    server.wait_for(lambda: len(server.zygotes()) == 1)
    (pid,) = server.zygotes()
    return pid


def names_of_descriptors(pid: int) -> dict[int, str]:
    return {int(link.name): str(link.readlink()) for link in Path(f"/proc/{pid}/fd").iterdir()}


# What each process has


def test_the_front_has_no_power_and_the_zygote_three_capabilities(server: Server) -> None:
    (front,) = server.workers()
    zygote = only_zygote(server)
    needed = f"{capability_mask(CAP_SETUID, CAP_SETGID, CAP_KILL):016x}"
    none = f"{0:016x}"
    assert status_of(front)["Uid"].split() == [str(WWW.uid)] * 4
    assert [status_of(front)[name] for name in ("CapPrm", "CapEff")] == [none, none]
    assert status_of(zygote)["Uid"].split() == ["0"] * 4
    found = [status_of(zygote)[name] for name in ("CapBnd", "CapPrm", "CapEff")]
    assert found == [needed] * 3
    assert [status_of(zygote)[name] for name in ("CapInh", "CapAmb")] == [none, none]
    assert status_of(zygote)["NoNewPrivs"] == "1"


def test_the_zygote_holds_no_connection_and_no_listener(server: Server) -> None:
    with server.connect() as connection:
        connection.sendall(request(headers=""))
        assert connection.recv(65536)
        zygote = only_zygote(server)
        # The front may have its answer before the zygote has closed its end of the channel.
        server.wait_for(lambda: sorted(names_of_descriptors(zygote)) == [0, 1, 2, 3])
        descriptors = names_of_descriptors(zygote)
        sockets = [name for name in descriptors.values() if name.startswith("socket:")]
        network = Path("/proc/net/tcp").read_text()
        assert len(sockets) == 1
        assert sockets[0].strip("socket:[]") not in network.split()


def test_the_zygotes_memory_has_seen_no_request(server: Server) -> None:
    """Look for a word of a request where a copy of the server's memory would have it."""
    word = os.urandom(8).hex()
    assert server.get(f"/hello.py?{word}").status == 200
    (front,) = server.workers()
    assert word.encode() not in memory_of(only_zygote(server))
    assert server.get(f"/hello.py?{word}").status == 200
    assert word.encode() in memory_of(front)


def memory_of(pid: int) -> bytes:
    content = []
    with open(f"/proc/{pid}/mem", "rb", buffering=0) as memory:
        for line in Path(f"/proc/{pid}/maps").read_text().splitlines():
            first, _, last = line.split()[0].partition("-")
            if line.split()[1].startswith("rw"):
                memory.seek(int(first, 16))
                content.append(memory.read(int(last, 16) - int(first, 16)))
    return b"".join(content)


def test_a_child_has_the_streams_and_its_channel(server: Server) -> None:
    reply = server.run(f"{OK}import os; print(len(os.listdir('/proc/self/fd')) - 1)")
    assert reply.text == "4\n"


def test_a_child_finds_no_environment_but_its_own(server: Server) -> None:
    reply = server.run(f"""
        import ctypes, subprocess
        {OK}
        print(subprocess.run(["/usr/bin/env"], capture_output=True, text=True).stdout)
    """)
    assert [name for name in reply.text.split() if not name.startswith("LC_CTYPE=")] == []


# What is loaded beforehand


@pytest.mark.parametrize(("preload", "loaded"), [("common", True), ("none", False)])
def test_the_option_says_what_a_script_finds_loaded(
    sites: Sites, preload: str, loaded: bool
) -> None:
    source = f"""
        import sys
        names = "datetime", "http.client", "json", "sqlite3"
        {OK}
        print([name in sys.modules for name in names])
    """
    with Server("zygote", sites, "--option", f"preload={preload}") as server:
        assert server.run(source).text == f"{[loaded] * 4}\n"


def test_what_a_script_changes_is_gone_with_its_child(server: Server) -> None:
    source = f"{OK}import json; print(getattr(json, 'mark', 'none')); json.mark = 'left'"
    assert [server.run(source).text for _ in range(3)] == ["none\n"] * 3


def test_compiled_code_stays_with_its_owner(server: Server) -> None:
    for tenant in ("t0001", "t0002", "t0001"):
        reply = server.run(f"{OK}import os; print('{tenant}', os.geteuid())", tenant)
        uid = FIRST_UID + (tenant == "t0002")
        assert reply.text == f"{tenant} {uid}\n"


# Hostile scripts


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("import os; os._exit(0)", 500),
        ("import os; os.kill(os.getpid(), 9)", 500),
        ("import os; os.closerange(0, 99)", 500),
        ("import os\nwhile True: os.write(1, b'x' * 65536)", 504),  # to /dev/null
        ("while True: print('x' * 1_000_000)", 500),
        ("import os; os.fork(); os.fork()", 500),
        (
            f"import threading as t, time\n{OK}\nt.Thread(target=time.sleep, args=(99,)).start()",
            200,
        ),
        ("import time; time.sleep(1000)", 504),
        ("import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN)\nwhile True: pass", 504),
    ],
)
def test_whatever_a_script_does_ends_with_it(server: Server, source: str, expected: int) -> None:
    zygote = only_zygote(server)
    assert server.run(source).status == expected
    server.wait_for(lambda: server.scripts() == [])
    assert server.get("/hello.py", "t0002").status == 200
    assert server.zygotes() == [zygote]


def test_a_script_can_neither_signal_nor_look_into_the_others(server: Server) -> None:
    reply = server.run(f"""
        import json, os
        {OK}
        def tried(action):
            try:
                action()
            except OSError as error:
                return type(error).__name__
            return "done"
        parent = os.getppid()
        front = int(open(f"/proc/{{parent}}/stat").read().rpartition(")")[2].split()[1])
        print(json.dumps([
            [tried(lambda: os.kill(pid, 0)), tried(lambda: open(f"/proc/{{pid}}/mem", "rb"))]
            for pid in (parent, front)
        ]))
    """)
    assert json.loads(reply.text) == [["PermissionError"] * 2] * 2


def test_a_body_larger_than_the_channel_holds(server: Server) -> None:
    server.sites.put("case.py", f"{OK}import sys; print(len(sys.stdin.buffer.read()))")
    body = b"x" * 2_000_000
    assert server.ask(request("/case.py", method="POST", body=body)).text == "2000000\n"


def test_a_body_that_its_child_never_reads(server: Server) -> None:
    server.sites.put("case.py", "import os; os._exit(0)")
    assert server.ask(request("/case.py", method="POST", body=b"x" * 2_000_000)).status == 500


# Ends


def test_an_idle_front_whose_zygote_has_ended_is_replaced(sites: Sites) -> None:
    with Server("zygote", sites) as server:
        (front,) = server.workers()
        os.kill(only_zygote(server), signal.SIGKILL)
        server.wait_for(lambda: server.workers() not in ([front], []))
        assert "its zygote ended" in server.log()
        assert server.get().status == 200


def test_a_request_whose_zygote_ends_is_answered(sites: Sites) -> None:
    sites.put("case.py", f"import time; time.sleep(0.5)\n{OK}print('done')")
    with Server("zygote", sites) as server:
        (front,) = server.workers()
        with server.connect() as connection:
            connection.sendall(request("/case.py"))
            server.wait_for(lambda: server.scripts() != [])
            os.kill(only_zygote(server), signal.SIGKILL)
            answer = b"".join(iter(lambda: connection.recv(65536), b""))
        assert answer.endswith(b"done\n")
        server.wait_for(lambda: server.workers() not in ([front], []))
        assert server.get().status == 200


def test_a_zygote_ends_with_its_front(sites: Sites) -> None:
    sites.put("case.py", "import time; time.sleep(1000)")
    with Server("zygote", sites) as server:
        (front,) = server.workers()
        zygote = only_zygote(server)
        with server.connect() as connection:
            connection.sendall(request("/case.py"))
            server.wait_for(lambda: server.scripts() != [])
            scripts = server.scripts()
            os.kill(front, signal.SIGKILL)
            assert connection.recv(1) == b""
        gone = (zygote, *scripts)
        server.wait_for(lambda: not any(Path(f"/proc/{pid}").exists() for pid in gone))
        assert server.get().status == 200


def test_a_zygote_that_does_not_get_ready(sites: Sites) -> None:
    setting = Setting(str(sites.root), Identity(WWW.uid, WWW.gid), str(sites.root))

    def reason() -> str:
        with pytest.raises(ZygoteEnded) as caught:
            Zygote(setting, ("no_such_module",))
        return str(caught.value)

    assert in_child(reason) == "the zygote ended before it was ready"


def test_usage_counts_the_zygote_and_its_children(server: Server) -> None:
    before = server.usage()
    for _ in range(5):
        server.get()
    after = server.usage()
    assert after["processes_made"] - before["processes_made"] == 5
    assert after["page_faults"] - before["page_faults"] > 5 * 50
