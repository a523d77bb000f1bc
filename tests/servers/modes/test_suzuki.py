"""What is special to suzuki: who a client is, and what its identity does not let it do."""

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.servers.live import (
    FIRST_UID,
    PATIENCE,
    PYTHON,
    ROOT,
    WWW,
    Reply,
    Server,
    Sites,
    needs_root,
    read_reply,
    request,
    status_of,
)
from workloads import credential
from workloads.credential import OPTION_BYTES, Stamper
from workloads.proof import Identity

pytestmark = needs_root

ANOTHER_USER = 46990


@pytest.fixture(scope="module")
def server(shared_sites: Sites) -> Iterator[Server]:
    with Server("suzuki", shared_sites, workers=2) as running:
        yield running


def stamp(server: Server, client: Identity, key: bytes | None = None) -> bytes:
    assert server.key is not None
    return Stamper(key or server.key, "127.0.0.1", server.port).option(client)


def connect(server: Server, option: bytes = b"") -> socket.socket:
    connection = socket.socket()
    connection.settimeout(PATIENCE)
    if option:
        connection.setsockopt(socket.IPPROTO_IP, socket.IP_OPTIONS, option)
    connection.connect(("127.0.0.1", server.port))
    return connection


def ask(server: Server, option: bytes = b"", tenant: str = "t0001") -> Reply:
    with connect(server, option) as connection:
        connection.sendall(request(tenant=tenant))
        return read_reply(connection.makefile("rb"))


def words(server: Server) -> str:
    """Return the last line of the log."""
    return server.log().splitlines()[-1]


# Who is refused


def test_no_credential(server: Server) -> None:
    assert ask(server).status == 403
    assert "t0001.localhost/hello.py: cannot be run: the client sent no cred" in words(server)
    server.assert_serves(times=2)


def test_forged(server: Server) -> None:
    tenant = server.sites.identity("t0001")
    assert ask(server, stamp(server, tenant, key=bytes(32))).status == 403
    assert "the client's credential is forged" in words(server)
    server.assert_serves(times=2)


def test_replayed_at_any_worker(server: Server) -> None:
    option = stamp(server, server.sites.identity("t0001"))
    assert [ask(server, option).status for _ in range(6)] == [200, 403, 403, 403, 403, 403]
    assert "the client's credential was used before" in words(server)
    server.assert_serves(times=2)


@pytest.mark.parametrize(("late", "reason"), [(60, "has expired"), (-60, "seconds ahead")])
def test_out_of_time(
    server: Server, monkeypatch: pytest.MonkeyPatch, late: int, reason: str
) -> None:
    now = time.time()
    with monkeypatch.context() as patch:
        patch.setattr("workloads.credential.time.time", lambda: now - late)
        option = stamp(server, server.sites.identity("t0001"))
    assert ask(server, option).status == 403
    assert reason in words(server)
    server.assert_serves(times=2)


@pytest.mark.parametrize(
    "client",
    [
        pytest.param(Identity(0, 0), id="root"),
        pytest.param(WWW, id="www"),
        pytest.param(Identity(ANOTHER_USER, ANOTHER_USER), id="another user of the host"),
        pytest.param(Identity(FIRST_UID, FIRST_UID + 1), id="a neighbour's group"),
        pytest.param(Identity(FIRST_UID, WWW.gid), id="the server's group"),
        pytest.param(Identity(2**32 - 1, 2**32 - 1), id="-1"),
    ],
)
def test_nobody_here(server: Server, client: Identity) -> None:
    assert ask(server, stamp(server, client)).status == 403
    assert f"uid {client.uid} and gid {client.gid}, is unknown here" in words(server)
    server.assert_serves(times=2)


def test_a_refused_connection_is_closed(server: Server) -> None:
    with connect(server) as connection, connection.makefile("rb") as stream:
        connection.sendall(request(headers="") * 2)
        assert [read_reply(stream).status for _ in range(2)] == [403, 0]


def test_nobody_learns_which_scripts_there_are(server: Server) -> None:
    for target in ("/hello.py", "/missing.py"):
        with connect(server) as connection:
            connection.sendall(request(target))
            assert read_reply(connection.makefile("rb")).status == 403


# Whose rights count


def test_the_kernel_keeps_a_client_from_a_neighbours_script(server: Server) -> None:
    tenant = server.sites.identity("t0001")
    assert ask(server, stamp(server, tenant), tenant="t0002").status == 403
    assert "Permission denied" in words(server)
    server.assert_serves(times=2)


def test_a_script_that_all_may_read_runs_as_whoever_asks(sites: Sites) -> None:
    with Server("suzuki", sites) as server:
        site = sites.root / "t0002"
        (site / "hello.py").chmod(0o755)
        site.chmod(0o755)
        reply = ask(server, stamp(server, sites.identity("t0001")), tenant="t0002")
    assert (
        reply.text
        == f"isobench tenant=t0002 uid={FIRST_UID} gid={FIRST_UID} groups=\nHello from t0002\n"
    )


def test_a_connection_is_one_clients_for_its_life(server: Server) -> None:
    with server.connect("t0001") as connection, connection.makefile("rb") as stream:
        statuses = []
        for tenant in ("t0001", "t0001", "t0002", "t0001"):
            connection.sendall(request(tenant=tenant, headers=""))
            statuses.append(read_reply(stream).status)
    assert statuses == [200, 200, 403, 200]


def test_the_next_connection_is_not_taken_for_the_last(sites: Sites) -> None:
    """One worker, which gives each connection the same descriptor."""
    with Server("suzuki", sites) as server:
        for tenant in ("t0001", "t0002", "t0001"):
            assert (
                f"tenant={tenant} uid={sites.identity(tenant).uid} "
                in server.get(tenant=tenant).text
            )
            assert ask(server).status == 403


# What a worker is, and what content can make of it

RAISE = """
import ctypes, errno, json, os
print("Content-Type: text/plain\\n")
libc = ctypes.CDLL(None, use_errno=True)
both = 1 << 6 | 1 << 7
libc.capset((ctypes.c_uint32 * 2)(0x20080522, 0), (ctypes.c_uint32 * 6)(both, both, 0, 0, 0, 0))
"""
BECOME = f"""
def become(uid):
    try:
        os.setresuid(uid, uid, uid)
    except OSError as error:
        return errno.errorcode[error.errno]
    return "became"
for uid in (0, 1, {ANOTHER_USER}, {FIRST_UID + 1}, {WWW.uid}):
    print(become(uid))
"""


def test_hijacked_content_stays_among_the_permitted_identities(server: Server) -> None:
    """The hole of ruid2, as documented, but not beyond www and the tenants."""
    outcome = server.run(RAISE + BECOME).text.split()
    assert outcome == ["EINVAL", "EINVAL", "EINVAL", "became", "became"]
    server.assert_serves(times=2)


TRACE = """
victim = os.getuid() + 1
os.setresgid(victim, victim, victim)
os.setresuid(victim, victim, victim)
for name in os.listdir("/proc"):
    if name.isdigit() and int(name) not in (1, os.getpid()):
        try:
            os.open(f"/proc/{name}/mem", os.O_RDWR)
            print(name, "opened")
        except PermissionError:
            print(name, "denied")
"""


def test_hijacked_content_cannot_look_into_another_worker(server: Server) -> None:
    """Although it has become the very identity that the other runs as, with its capabilities."""
    source = "import time\ntime.sleep(1)\nprint('Content-Type: a/b\\n')"
    server.sites.put("slow.py", source, tenant="t0002")
    with server.connect("t0002") as other:
        other.sendall(request("/slow.py", "t0002"))
        reply = server.run(RAISE + TRACE)
        assert read_reply(other.makefile("rb")).status == 200
    assert [line.split()[1] for line in reply.text.splitlines()] == ["denied"]


def at_rest(server: Server, worker: int) -> dict[str, str]:
    """Return a worker's status once it has gone back: a client has its answer before that."""
    server.wait_for(lambda: status_of(worker)["Uid"].split() == [str(WWW.uid)] * 4)
    return status_of(worker)


def test_workers_have_no_root_in_their_namespace(server: Server) -> None:
    own = Path("/proc/self/ns/user").readlink()
    for worker in server.workers():
        process = Path(f"/proc/{worker}")
        assert (process / "ns/user").readlink() != own
        for name in ("uid_map", "gid_map"):
            assert (process / name).read_text().split() == [str(WWW.uid), str(WWW.uid), "3"]
        status = at_rest(server, worker)
        assert status["Gid"] == status["Uid"]
        sets = [int(status[name], 16) for name in ("CapEff", "CapPrm", "CapBnd", "CapInh")]
        assert sets == [0, 1 << 6 | 1 << 7, 0, 0]
    assert len({Path(f"/proc/{pid}/ns/user").readlink() for pid in server.workers()}) == 2


def test_the_key_is_no_file_that_a_script_can_read(server: Server) -> None:
    path = server.private.with_suffix(".key")
    reply = server.run(f"""
        print("Content-Type: text/plain\\n")
        try:
            print(open("{path}").read())
        except (PermissionError, FileNotFoundError):  # where /dev/shm is the server's own
            print("denied")
    """)
    assert reply.text == "denied\n"
    command_lines = [Path(f"/proc/{pid}/cmdline").read_bytes() for pid in server.everybody()]
    assert server.key is not None
    assert not any(server.key.hex().encode() in line for line in command_lines)


def test_a_tenants_shell_cannot_stamp(server: Server) -> None:
    reply = server.run(f"""
        import socket
        print("Content-Type: text/plain\\n")
        try:
            option = bytes([0x9e, {OPTION_BYTES}]) + bytes({OPTION_BYTES - 2})
            socket.socket().setsockopt(socket.IPPROTO_IP, socket.IP_OPTIONS, option)
        except OSError as error:
            print(error.strerror)
    """)
    assert reply.text == "Invalid argument\n"


def test_a_worker_that_was_killed_leaves_the_memory_of_what_was_used(sites: Sites) -> None:
    with Server("suzuki", sites) as server:
        option = stamp(server, sites.identity("t0001"))
        assert ask(server, option).status == 200
        (before,) = server.workers()
        os.kill(before, 9)
        server.wait_for(lambda: server.workers() not in ([], [before]))
        assert ask(server, option).status == 403
        assert "was used before" in words(server)
        server.assert_serves(times=2)


def test_a_stopped_worker_does_not_stop_the_others(server: Server) -> None:
    server.sites.put("slow.py", "import time\ntime.sleep(1)\nprint('Content-Type: a/b\\n')")
    with server.connect() as waiting:
        waiting.sendall(request("/slow.py"))
        server.assert_serves(times=2)
        assert read_reply(waiting.makefile("rb")).status == 200


# Where it runs

IN_A_NAMESPACE = """
import os, sys
from servers.kernel.user_namespace import enter
enter(range(65536), range(65536))
os.execvp(sys.argv[1], sys.argv[1:])
"""


def test_it_serves_inside_a_user_namespace(sites: Sites) -> None:
    """As an ordinary user's server does, for clients outside that may stamp."""
    prefix = (PYTHON, "-S", "-c", IN_A_NAMESPACE)
    with Server("suzuki", sites, workers=2, prefix=prefix) as server:
        server.assert_serves(times=2)


@pytest.mark.parametrize(
    ("content", "mode", "reason"),
    [
        (None, 0o600, "clients' credentials need a key of 32 bytes"),
        ("00" * 31, 0o600, "clients' credentials need a key of 32 bytes"),
        ("no hexadecimal", 0o600, "holds no key"),
        ("00" * 32, 0o644, "users other than its owner can read"),
        ("00" * 32, 0o000, None),  # root reads it all the same
    ],
)
def test_keys(
    sites: Sites, tmp_path: Path, content: str | None, mode: int, reason: str | None
) -> None:
    key = tmp_path / "key"
    arguments = ["suzuki", "--sites", str(sites.root), "--www", f"{WWW.uid}:{WWW.gid}", "--check"]
    if content is not None:
        key.write_text(content)
        key.chmod(mode)
        arguments += ["--credential-key", str(key)]
    done = subprocess.run(
        [sys.executable, "-P", "-m", "servers", *arguments],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
        timeout=PATIENCE,
    )
    assert done.returncode == (2 if reason else 0), done.stderr
    assert (reason or "") in done.stderr
    assert "hint: " in done.stderr or not reason


def test_asking_by_hand(server: Server) -> None:
    key = server.private.with_suffix(".key")
    url = f"http://t0002.localhost:{server.port}/hello.py"
    command = [sys.executable, "-m", "workloads.credential", "--key", str(key)]
    done = subprocess.run(
        [*command, "--uid", str(FIRST_UID + 1), url],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.startswith("HTTP/1.1 200 OK\n")
    assert done.stdout.endswith("Hello from t0002\n")
    assert credential.read_key(key) == server.key
