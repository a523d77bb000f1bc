"""What is special to `suid2`: root at rest, the owner for good, and one request a worker."""

import contextlib
import json
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from servers.modes.suid2 import Mode
from tests.servers.live import (
    FIRST_UID,
    Server,
    Sites,
    command_line,
    needs_root,
    read_reply,
    request,
    status_of,
    where_readable,
)

pytestmark = needs_root

STARTS = Mode.options["worker_start"]


def started_by(start: str) -> tuple[str, str]:
    return "--option", f"worker_start={start}"


@pytest.fixture(scope="module", params=STARTS)
def server(request: pytest.FixtureRequest, shared_sites: Sites) -> Iterator[Server]:
    """One worker at a time, of either start."""
    with Server("suid2", shared_sites, *started_by(request.param)) as running:
        yield running


@pytest.fixture
def executing(sites: Sites) -> Iterator[Server]:
    """A server that executes its two workers."""
    with Server("suid2", sites, *started_by("exec"), workers=2) as running:
        yield running


def test_worker_at_rest_is_root(server: Server) -> None:
    (worker,) = server.workers()
    status = status_of(worker)
    assert status["Uid"].split() == status["Gid"].split() == ["0"] * 4


def test_there_is_no_way_back(server: Server) -> None:
    reply = server.run("""
        import ctypes, json, os
        everything = (ctypes.c_uint32 * 6)(*[0xFFFFFFFF] * 6)
        header = (ctypes.c_uint32 * 2)(0x20080522, 0)
        def refused(action, *arguments):
            try:
                action(*arguments)
            except PermissionError:
                return True
            return False
        status = dict(line.rstrip("\\n").split(":\\t") for line in open("/proc/self/status"))
        print("Content-Type: application/json\\n")
        print(json.dumps({
            "ids": [*os.getresuid(), *os.getresgid()],
            "groups": os.getgroups(),
            "refused": [
                refused(os.setuid, 0),
                refused(os.setresuid, -1, 0, -1),
                refused(os.seteuid, os.getuid() + 1),
                refused(os.setgid, 0),
                refused(os.setgroups, []),
                ctypes.CDLL(None).capset(header, everything) == -1,
            ],
            "sets": [status["Cap" + name] for name in ("Inh", "Prm", "Eff", "Amb")],
        }))
    """)
    assert json.loads(reply.text) == {
        "ids": [FIRST_UID] * 6,
        "groups": [],
        "refused": [True] * 6,
        "sets": ["0" * 16] * 4,
    }


def test_each_request_has_a_process_and_an_interpreter_of_its_own(server: Server) -> None:
    source = """
        import builtins, os
        print("Content-Type: text/plain\\n")
        print(os.getpid(), hasattr(builtins, "left_behind"))
        builtins.left_behind = True
    """
    answers = [server.run(source).text.split() for _ in range(4)]
    assert len({pid for pid, _ in answers}) == 4
    assert {found for _, found in answers} == {"False"}


def test_script_finds_no_descriptor_of_the_server(server: Server) -> None:
    """But the log, its own connection, and what maps the scoreboard in an executed worker."""
    reply = server.run("""
        import os, stat
        print("Content-Type: text/plain\\n")
        for number in range(1024):
            try:
                status = os.fstat(number)
            except OSError:
                continue
            print(number, stat.S_IFMT(status.st_mode) == stat.S_IFSOCK, status.st_rdev)
    """)
    found = [line.split() for line in reply.text.splitlines()]
    assert [line[0] for line in found[:3]] == ["0", "1", "2"]
    assert found[0][2] == found[1][2] == str(Path("/dev/null").stat().st_rdev)
    assert [is_socket for _, is_socket, _ in found[3:]].count("True") == 1
    assert len(found) <= 5


def test_script_cannot_accept_for_others(server: Server) -> None:
    reply = server.run("""
        import os, socket
        print("Content-Type: text/plain\\n")
        for number in range(1024):
            try:
                with socket.socket(fileno=os.dup(number)) as copy:
                    print(copy.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN))
            except OSError:
                pass
    """)
    assert reply.text.split() == ["0"]  # the connection


def test_keep_alive_client_gets_one_answer_a_connection(server: Server) -> None:
    for tenant in ("t0001", "t0002"):
        with server.connect() as connection, connection.makefile("rb") as stream:
            connection.sendall(request(tenant=tenant, headers=""))
            reply = read_reply(stream)
            assert f"tenant={tenant} " in reply.text
            assert reply.headers["connection"] == "close"
            assert stream.read() == b""


def test_script_that_stays_in_a_thread_ends_with_its_worker(server: Server) -> None:
    reply = server.run("""
        import threading, time
        threading.Thread(target=time.sleep, args=(1000,)).start()
        print("Content-Type: text/plain\\n")
    """)
    assert reply.status == 200
    for tenant in ("t0001", "t0002"):
        assert f"tenant={tenant} " in server.get(tenant=tenant).text


# Executed workers


def test_executed_worker_is_the_masters_command_again(executing: Server) -> None:
    command = command_line(executing.master)
    for worker in executing.workers():
        assert command_line(worker).startswith(command)


def test_executed_worker_gets_no_environment_but_the_interpreters(executing: Server) -> None:
    for worker in executing.workers():
        environment = Path(f"/proc/{worker}/environ").read_text()
        assert {entry.partition("=")[0] for entry in environment.split("\0") if entry} == {
            "PYTHONPATH",
            "LD_BIND_NOW",
        }


def test_script_in_an_executed_worker_finds_no_server_on_its_path(executing: Server) -> None:
    reply = executing.run("""
        import os, sys
        print("Content-Type: text/plain\\n")
        print(*sys.path, sys.flags.no_site, sys.flags.safe_path, len(os.environ.get("PATH", "")))
    """)
    *path, no_site, safe_path, _ = reply.text.split()
    assert not any("site-packages" in entry or "main" in entry for entry in path)
    assert (no_site, safe_path) == ("1", "True")


def test_executed_workers_are_counted_exactly(executing: Server) -> None:
    """Their slots are in a file that each of them maps anew."""
    for number in range(5):
        assert executing.get(tenant=("t0001", "t0002")[number % 2]).status == 200
    executing.wait_for(lambda: executing.usage()["served"] == 5)


def test_option_and_limit_reach_an_executed_worker(sites: Sites) -> None:
    limits = ("--script-seconds", "1")
    with Server("suid2", sites, *started_by("exec"), *limits) as server:
        assert server.run("while True: pass").status == 504
        assert server.get().status == 200


def test_executed_workers_do_not_need_given_directories(sites: Sites) -> None:
    """The server makes its private directory itself, and names it to its workers."""
    with Server("suid2", sites, *started_by("exec"), "--sites", os.path.relpath(sites.root)) as one:
        assert one.get().status == 200


@pytest.mark.parametrize("mode", ["suid2", "ruid2_drop", "suexec"])
def test_without_namespaces_one_server_can_follow_another(mode: str, sites: Sites) -> None:
    private = sites.root.parent / "of-all"
    private.mkdir(mode=0o711)
    unprivileged = where_readable("setpriv", "--bounding-set", "-sys_admin")
    for _ in range(2):
        with Server(mode, sites, "--private", str(private), prefix=unprivileged) as server:
            assert not server.contained
            assert server.get().status == 200
        assert list(private.iterdir()) == []


def test_what_lies_in_a_given_directory_is_left_alone(sites: Sites) -> None:
    private = sites.root.parent / "of-all"
    (private / "code").mkdir(parents=True)
    (private / "suexec").symlink_to("/etc/passwd")
    private.chmod(0o711)
    unprivileged = where_readable("setpriv", "--bounding-set", "-sys_admin")
    for mode in ("suid2", "suexec"):
        with Server(mode, sites, "--private", str(private), prefix=unprivileged) as server:
            assert server.get().status == 200
    assert {path.name for path in private.iterdir()} == {"code", "suexec"}
    assert (private / "suexec").is_symlink()
    assert list((private / "code").iterdir()) == []


def test_executed_worker_that_is_killed_as_it_starts_is_replaced(executing: Server) -> None:
    killed: set[int] = set()
    while len(killed) < 8:  # workers of which most have just begun
        for worker in executing.workers():
            with contextlib.suppress(ProcessLookupError):
                os.kill(worker, signal.SIGKILL)
            killed.add(worker)
    executing.wait_for(lambda: not killed & {*executing.everybody()})
    assert executing.get().status == 200
