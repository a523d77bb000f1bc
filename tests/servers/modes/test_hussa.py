"""What is special to `hussa`: content's attempts to change identity, and the supervisor's fate."""

import json
import os
import signal
import socket
import time
from collections.abc import Iterator

import pytest

from servers.errors import Unavailable
from servers.kernel import seccomp
from servers.kernel.credentials import Identity
from servers.mode import Setting
from servers.modes.hussa import Mode
from tests.servers.live import (
    FIRST_UID,
    PATIENCE,
    Server,
    Sites,
    name_of,
    needs_root,
    status_of,
    where_readable,
)
from tests.servers.live import children as children_of

pytestmark = needs_root

GUARDS = ("supervisor", "filter")


@pytest.fixture(scope="module", params=GUARDS)
def server(request: pytest.FixtureRequest, shared_sites: Sites) -> Iterator[Server]:
    """One worker under each kind of guard."""
    with Server("hussa", shared_sites, "--option", f"guard={request.param}") as running:
        yield running


@pytest.fixture
def supervised(sites: Sites) -> Iterator[Server]:
    """A server of its own, for a test that harms it."""
    with Server("hussa", sites, "--script-seconds", "1") as running:
        yield running


def supervisors(server: Server) -> list[int]:
    return [pid for pid in children_of(server.master) if name_of(pid) == "supervisor"]


def assert_serves(server: Server) -> None:
    for tenant, uid in (("t0001", FIRST_UID), ("t0002", FIRST_UID + 1)):
        assert f"tenant={tenant} uid={uid}" in server.get(tenant=tenant).text


# What content tries

ATTEMPTS = """
import ctypes, errno, json, os, platform, signal, subprocess, sys, threading
libc = ctypes.CDLL(None, use_errno=True)
libc.prctl.argtypes = [ctypes.c_ulong] * 5

def raw(number, *arguments):
    words = [ctypes.c_long(word) for word in (number, *arguments)]
    return "done" if libc.syscall(*words) >= 0 else errno.errorcode[ctypes.get_errno()]

def c(function, *arguments):
    return "done" if function(*arguments) >= 0 else errno.errorcode[ctypes.get_errno()]

def python(function, *arguments):
    try:
        function(*arguments)
    except OSError as error:
        return errno.errorcode[error.errno]
    return "done"

HEADER = (ctypes.c_uint32 * 2)(0x20080522, 0)
BOTH = 1 << 6 | 1 << 7
RAISE = (ctypes.c_uint32 * 6)(BOTH, BOTH, 0, 0, 0, 0)
GIVE_UP = (ctypes.c_uint32 * 6)()
me = os.getuid()
victim = me + 1
NUMBERS = {
    "x86_64": {"setfsuid": 122, "setfsgid": 123, "clone": 56, "clone3": 435, "seccomp": 317},
    "aarch64": {"setfsuid": 151, "setfsgid": 152, "clone": 220, "clone3": 435, "seccomp": 277},
}[platform.machine()]

def attempts():
    return {
        "setuid": python(os.setuid, victim), "setuid to itself": python(os.setuid, me),
        "setgid": python(os.setgid, victim), "seteuid": python(os.seteuid, victim),
        "setegid": python(os.setegid, victim), "setreuid": python(os.setreuid, victim, victim),
        "setregid": python(os.setregid, victim, victim),
        "setresuid": python(os.setresuid, victim, victim, victim),
        "setresuid to root": python(os.setresuid, 0, 0, 0),
        "setresgid": python(os.setresgid, victim, victim, victim),
        "setgroups": python(os.setgroups, [victim]), "initgroups": python(os.initgroups, "x", 0),
        "setfsuid": raw(NUMBERS["setfsuid"], victim), "setfsgid": raw(NUMBERS["setfsgid"], victim),
        "capset": c(libc.capset, HEADER, RAISE), "give up": c(libc.capset, HEADER, GIVE_UP),
        "keep": c(libc.prctl, 8, 1, 0, 0, 0),
        "keep, high bit": c(libc.prctl, 8 | 1 << 32, 1, 0, 0, 0),
        "bounding": c(libc.prctl, 24, 7, 0, 0, 0), "securebits": c(libc.prctl, 28, 0, 0, 0, 0),
        "ambient": c(libc.prctl, 47, 2, 7, 0, 0), "strict": c(libc.prctl, 22, 1, 0, 0, 0),
        "seccomp": raw(NUMBERS["seccomp"], 0, 0, 0), "unshare": c(libc.unshare, 0x10000000),
        "clone": raw(NUMBERS["clone"], 0x10000000 | signal.SIGCHLD, 0, 0, 0, 0),
        "share memory": raw(NUMBERS["clone"], 0x100 | signal.SIGCHLD, 0, 0, 0, 0),
        "setns": c(libc.setns, os.open("/proc/self/ns/user", os.O_RDONLY), 0),
    }
"""
RUN_HERE = "outcome = attempts()"
RUN_IN_THREAD = """
found = []
thread = threading.Thread(target=lambda: found.append(attempts()))
thread.start()
thread.join()
(outcome,) = found
"""
RUN_IN_CHILD = """
told, tell = os.pipe()
if os.fork() == 0:
    os.write(tell, json.dumps(attempts()).encode())
    os._exit(0)
outcome = json.loads(os.read(told, 65536))
os.wait()
"""
RUN_IN_PROGRAM = """
ATTEMPTS_AGAIN = open(__file__).read().partition("# here")[0] + "print(json.dumps(attempts()))"
program = [sys.executable, "-IS", "-c", ATTEMPTS_AGAIN]
outcome = json.loads(subprocess.run(program, stdout=subprocess.PIPE, check=True).stdout)
"""
TELL = 'print("Content-Type: text/plain\\n")\nprint(json.dumps(outcome))'


@pytest.mark.parametrize("where", [RUN_HERE, RUN_IN_THREAD, RUN_IN_CHILD, RUN_IN_PROGRAM])
def test_content_cannot_change_identity(server: Server, where: str) -> None:
    before = server.workers()
    reply = server.run(f"{ATTEMPTS}\n# here\n{where}\n{TELL}")
    outcomes = json.loads(reply.text)
    assert {name: outcome for name, outcome in outcomes.items() if outcome != "EPERM"} == {}
    assert_serves(server)
    assert server.workers() == before


@pytest.mark.skipif(os.uname().machine != "x86_64", reason="x32 is an ABI of x86-64")
def test_another_abi_is_no_way_around(server: Server) -> None:
    reply = server.run(f"{ATTEMPTS}\noutcome = raw(0x40000000 | 117, 0, 0, 0)\n{TELL}")
    assert json.loads(reply.text) == "EPERM"


def test_clone3_is_as_good_as_absent(server: Server) -> None:
    reply = server.run(f"{ATTEMPTS}\noutcome = raw(NUMBERS['clone3'], 0, 0)\n{TELL}")
    assert json.loads(reply.text) == "ENOSYS"


def test_setuid_programs_gain_nothing(server: Server) -> None:
    """PR_GET_NO_NEW_PRIVS. A program that fails to drop root, and goes on, would be a way in."""
    reply = server.run(f"{ATTEMPTS}\noutcome = libc.prctl(39, 0, 0, 0, 0)\n{TELL}")
    assert json.loads(reply.text) == 1


def test_what_changes_no_identity_is_free(server: Server) -> None:
    reply = server.run(f"""{ATTEMPTS}
name = ctypes.create_string_buffer(b"content")
outcome = [
    c(libc.prctl, 15, ctypes.addressof(name), 0, 0, 0), c(libc.prctl, 3, 0, 0, 0, 0),
    subprocess.run(["/bin/echo", "ran"], stdout=subprocess.PIPE, text=True, check=True).stdout,
]
name.value = b"python"
{TELL}""")
    assert json.loads(reply.text) == ["done", "done", "ran\n"]


@pytest.mark.parametrize(
    "leave",
    [
        pytest.param(
            "signal.signal(signal.SIGALRM, grab); "
            "signal.setitimer(signal.ITIMER_REAL, 0.002, 0.0005)",
            id="signals",
        ),
        pytest.param("import gc; gc.callbacks.append(grab); gc.set_threshold(1)", id="collections"),
        pytest.param("sys.setprofile(grab)", id="each call"),
    ],
)
def test_what_content_leaves_behind_is_refused_at_any_time(sites: Sites, leave: str) -> None:
    """Nothing distinguishes the moments of a switch: a call without the secret never passes."""
    for guard in GUARDS:
        with Server("hussa", sites, "--option", f"guard={guard}") as server:
            server.run(f"""{ATTEMPTS}
taken = os.open("data/taken", os.O_CREAT | os.O_WRONLY | os.O_TRUNC | os.O_APPEND)
tried = os.open("data/tried", os.O_CREAT | os.O_WRONLY | os.O_TRUNC | os.O_APPEND)
def grab(*_, os=os, victim=victim, tried=tried, taken=taken):
    os.write(tried, b".")
    try:
        os.setresuid(victim, victim, victim)
    except OSError:
        return
    os.write(taken, b".")
outcome = ""
{leave}
{TELL}""")
            for _ in range(20):
                server.get(tenant="t0002")
            data = sites.root / "t0001" / "data"
            assert (data / "taken").read_bytes() == b""
            assert len((data / "tried").read_bytes()) > 1


def test_secret_in_the_same_memory_is_the_known_hole(server: Server) -> None:
    """A script that walks up the stack finds the server's own way back, and may use it."""
    reply = server.run("""
        import sys
        frame = sys._getframe()
        while "_switch" not in getattr(frame.f_locals.get("self"), "__dict__", ()):
            frame = frame.f_back
        switch = frame.f_locals["self"]._switch
        switch.back()
        print("Content-Type: text/plain\\n")
        print(open(__file__.replace("t0001/case.py", "t0002/config.secret")).read())
        try:
            switch._setresuid(0, 0, 0)
        except OSError as error:
            print("root:", error.strerror)
    """)
    assert server.sites.secret("t0002") in reply.text
    assert "root: Operation not permitted" in reply.text
    assert_serves(server)


# What content leaves


def test_thread_that_a_script_leaves_ends_the_worker(server: Server) -> None:
    before = server.workers()
    reply = server.run("""
        import threading, time
        threading.Thread(target=time.sleep, args=(1000,), daemon=True).start()
        print("Content-Type: text/plain\\n\\nleft one")
    """)
    assert reply.text == "left one\n"
    server.wait_for(lambda: server.workers() not in ([], before))
    assert_serves(server)
    assert "a script left a thread in the worker" in server.log()


def test_threads_that_a_script_has_joined_are_no_trouble(server: Server) -> None:
    before = server.workers()
    for _ in range(20):
        server.run("""
            from concurrent.futures import ThreadPoolExecutor
            with ThreadPoolExecutor(8) as threads:
                total = sum(threads.map(abs, range(100)))
            print("Content-Type: text/plain\\n\\n", total)
        """)
    assert server.workers() == before


def test_site_of_root_is_refused(sites: Sites) -> None:
    os.chown(sites.root / "t0002", 0, 0)
    for guard in GUARDS:
        with Server("hussa", sites, "--option", f"guard={guard}") as server:
            assert server.get(tenant="t0002").status == 403
            assert server.get(tenant="t0001").status == 200


# The supervisor


def test_each_worker_has_a_supervisor_out_of_reach(sites: Sites) -> None:
    with Server("hussa", sites, workers=2) as server:
        assert len(supervisors(server)) == 2
        for supervisor in supervisors(server):
            fields = status_of(supervisor)
            assert int(fields["CapPrm"], 16) == 0
            assert fields["Uid"].split() == ["0"] * 4
        reply = server.run("""
            import ctypes, os, signal
            print("Content-Type: text/plain\\n")
            attach = ctypes.CDLL(None).ptrace
            for name in filter(str.isdigit, os.listdir("/proc")):
                if open(f"/proc/{name}/comm").read() == "supervisor\\n":
                    print(attach(16, int(name), 0, 0), os.access(f"/proc/{name}/mem", os.R_OK))
                    try:
                        os.kill(int(name), signal.SIGKILL)
                    except PermissionError:
                        print("alive")
            try:
                os.waitpid(-1, 0)
            except ChildProcessError:
                print("no child")
        """)
        assert reply.text.splitlines() == ["-1 False", "alive"] * 2 + ["no child"]


def test_death_of_a_supervisor_costs_one_request_and_the_worker(supervised: Server) -> None:
    before = supervised.workers()
    (supervisor,) = supervisors(supervised)
    os.kill(supervisor, signal.SIGKILL)
    supervised.wait_for(lambda: not supervisors(supervised))
    reply = supervised.get()
    assert (reply.status, reply.text) == (503, "the server's process could not serve it\n")
    supervised.wait_for(lambda: supervised.workers() not in ([], before))
    assert_serves(supervised)
    assert "the supervisor of this worker is gone" in supervised.log()


def test_death_of_a_supervisor_amid_a_request(supervised: Server) -> None:
    """The script comes to its end as itself, and the worker ends instead of going back."""
    supervised.sites.put(
        "slow.py",
        "import os, time; open('begun', 'w')\n"
        "while not os.path.exists('go'): time.sleep(0.01)\n"
        "print('Content-Type: text/plain\\n\\nme')",
    )
    before = supervised.workers()
    with supervised.connect() as connection:
        connection.sendall(b"GET /slow.py HTTP/1.1\r\nHost: t0001\r\n\r\n")
        supervised.wait_for((supervised.sites.root / "t0001" / "begun").exists)
        (supervisor,) = supervisors(supervised)
        os.kill(supervisor, signal.SIGKILL)
        (supervised.sites.root / "t0001" / "go").touch()
        assert b"200 OK" in connection.makefile("rb").readline()
    supervised.wait_for(lambda: supervised.workers() not in ([], before))
    assert_serves(supervised)


def test_supervisor_that_does_not_answer_is_no_way_in(supervised: Server) -> None:
    before = supervised.workers()
    (supervisor,) = supervisors(supervised)
    os.kill(supervisor, signal.SIGSTOP)
    begun = time.monotonic()
    assert supervised.get().status in (0, 504)
    supervised.wait_for(lambda: supervised.workers() not in ([], before))
    assert time.monotonic() - begun < PATIENCE
    assert_serves(supervised)
    os.kill(supervisor, signal.SIGCONT)
    supervised.wait_for(lambda: supervisor not in supervisors(supervised))


def test_supervisors_end_with_their_workers(sites: Sites) -> None:
    with Server("hussa", sites, workers=2) as server:
        before = supervisors(server)
        for worker in server.workers():
            os.kill(worker, signal.SIGKILL)
        server.wait_for(lambda: not set(supervisors(server)) & set(before))
        server.wait_for(lambda: len(supervisors(server)) == 2)
        assert_serves(server)


def test_questions_about_usage_do_not_disturb_a_switch(server: Server) -> None:
    """The signal that asks interrupts a system call that waits for the supervisor's answer."""
    (worker,) = server.workers()
    for _ in range(50):
        with socket.create_connection(("127.0.0.1", server.port), PATIENCE) as connection:
            connection.sendall(b"GET /hello.py HTTP/1.0\r\nHost: t0001\r\n\r\n")
            for _ in range(20):
                os.kill(worker, signal.SIGUSR1)
            assert connection.makefile("rb").readline() == b"HTTP/1.1 200 OK\r\n"
    assert server.workers() == [worker]


def test_server_without_namespaces_leaves_nothing(sites: Sites) -> None:
    prefix = where_readable("setpriv", "--bounding-set", "-sys_admin")
    with Server("hussa", sites, workers=2, prefix=prefix) as server:
        assert not server.ready["own_pid_namespace"]
        assert_serves(server)
        assert len(server.everybody()) == 5  # the master, two workers, their supervisors


# Hosts that cannot


def test_kernel_without_notification_runs_the_other_guard(
    sites: Sites, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(seccomp, "has_action", lambda action: action == seccomp.ALLOW)
    setting = Setting(str(sites.root), Identity(46000, 46000), str(sites.root))
    with pytest.raises(Unavailable, match="cannot notify") as caught:
        Mode(setting).check_host()
    assert caught.value.hint == "use Linux 5.5 or newer"
    Mode(setting._replace(options={"guard": "filter"})).check_host()
