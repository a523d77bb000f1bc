"""What servers do not hand on of what they inherit: keys, a terminal, signals, ranks, and more."""

import ctypes
import errno
import fcntl
import json
import os
import pty
import select
import signal
import socket
import subprocess
import termios
import textwrap
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httptools
import pytest

from servers.front.startup import relay
from servers.kernel import keyring, leftovers, syscalls
from tests.servers import keys
from tests.servers.forked import in_child
from tests.servers.live import (
    PATIENCE,
    PYTHON,
    ROOT,
    WWW,
    Server,
    Sites,
    needs_root,
    read_reply,
    request,
    where_readable,
)

pytestmark = needs_root

HEADER = "print('Content-Type: text/plain\\n')\n"
REUSED = ("dso", "cgi", "ruid2", "hussa", "suzuki")
FOR_GOOD = ("suexec", "suid2", "ruid2_drop", "harache", "fastcgi", "zygote")


def printed(server: Server, source: str, tenant: str = "t0001") -> str:
    reply = server.run(HEADER + source, tenant)
    assert reply.status == 200, server.log()
    return reply.text.strip()


# Keys


def starting_with(action: str) -> tuple[str, ...]:
    """Return a command that does `action` in Python, and becomes the command that follows."""
    source = (
        f"import ctypes, os, resource, signal, sys; {action}; os.execvp(sys.argv[1], sys.argv[1:])"
    )
    return PYTHON, "-ISc", source


def plant_a_key() -> tuple[str, ...]:
    add_key, keyctl = keys.NUMBERS
    return starting_with(
        f"c = ctypes.CDLL(None); assert c.syscall({keyctl}, 1, None) > 0; "
        f"assert c.syscall({add_key}, b'user', b'operators', b'secret', 6, -3) > 0"
    )


@keys.needs_keys
@pytest.mark.parametrize("mode", [*REUSED, *FOR_GOOD, "sandbox"])
def test_scripts_have_no_key_of_the_operator_nor_of_another_tenant(mode: str, sites: Sites) -> None:
    with Server(mode, sites, prefix=plant_a_key()) as server:
        assert server.ready["own_session_keyring"]
        look = keys.LOOK_FOR
        if mode == "sandbox":
            assert printed(server, keys.leave("left", "word")) == "Operation not permitted"
            return
        assert printed(server, look.format(name="operators")) == "no key"
        said = printed(server, keys.leave("left", "word"))
        assert said == ("left" if mode in FOR_GOOD else "Permission denied")
        assert printed(server, look.format(name="left"), "t0002") == "no key"


@keys.needs_keys
def test_a_sealed_keyring_takes_nothing_and_cannot_be_unsealed() -> None:
    def attempt() -> list[int]:
        add_key, keyctl = keys.NUMBERS
        libc = ctypes.CDLL(None, use_errno=True)
        assert keyring.join_sealed()
        os.setresuid(46000, 46000, 46000)
        failed = []
        for call in (
            (add_key, b"user", b"name", b"text", 4, keys.SESSION),
            (keyctl, 5, keys.SESSION, 0x3F3F3F3F),  # KEYCTL_SETPERM
            (keyctl, 8, keys.USER, keys.SESSION),  # KEYCTL_LINK
            (keyctl, 21, keys.SESSION),  # KEYCTL_INVALIDATE
            (keyctl, 3, keys.SESSION),  # KEYCTL_REVOKE
        ):
            failed.append(libc.syscall(*call) < 0 and ctypes.get_errno())
        return failed

    assert in_child(attempt) == [errno.EACCES] * 5


@keys.needs_keys
def test_a_program_cannot_give_its_keyring_to_the_worker_that_started_it(sites: Sites) -> None:
    """By KEYCTL_SESSION_TO_PARENT, which asks for parent and child to be the same user."""
    with Server("cgi", sites) as server:
        source = keys.leave("left", "word").replace("key =", "libc.syscall(KEYCTL, 1, None)\nkey =")
        source += "print(libc.syscall(KEYCTL, 18), failure())\n"
        assert printed(server, source).splitlines() == ["left", "-1 Operation not permitted"]
        assert printed(server, keys.LOOK_FOR.format(name="left"), "t0002") == "no key"


def test_without_keys_servers_serve(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keyring, "_number", None)
    assert not keyring.join_new()
    assert not keyring.join_sealed()


# The terminal


class Terminal:
    """A terminal with an operator: what is typed into it, and what it has shown."""

    def __init__(self) -> None:
        self._ours, self._theirs = pty.openpty()
        settings = termios.tcgetattr(self._theirs)
        settings[3] &= ~termios.ECHO
        termios.tcsetattr(self._theirs, termios.TCSANOW, settings)
        self.shown = b""
        self.process: subprocess.Popen[bytes] | None = None

    def start(self, command: list[str], **options: Any) -> "subprocess.Popen[bytes]":
        """Start a command as a shell would: it controls it, and is all of its streams."""

        def take() -> None:
            os.setsid()
            fcntl.ioctl(0, termios.TIOCSCTTY, 0)

        streams = dict.fromkeys(("stdin", "stdout", "stderr"), self._theirs)
        self.process = subprocess.Popen(command, preexec_fn=take, **{**streams, **options})
        return self.process

    def type(self, text: str) -> None:
        os.write(self._ours, text.encode())

    def wait_for(self, what: bytes) -> bytes:
        """Return all that is shown, once `what` is among it."""
        deadline = time.monotonic() + PATIENCE
        while what not in self.shown:
            assert time.monotonic() < deadline, self.shown
            if select.select([self._ours], [], [], 0.1)[0]:
                self.shown += os.read(self._ours, 65536)
        return self.shown

    def close(self) -> None:
        if self.process is not None and self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        os.close(self._ours)
        os.close(self._theirs)


@pytest.fixture
def terminal() -> Iterator[Terminal]:
    terminal = Terminal()
    yield terminal
    terminal.close()


def served_in(terminal: Terminal, mode: str, sites: Sites, private: Path) -> tuple[Any, int]:
    """Start a server by hand in a terminal; return its process and its port."""
    packages = Path(httptools.__file__).parents[1]
    process = terminal.start(
        [
            *(PYTHON, "-S", "-s", "-P", "-m", "servers", mode, "--sites", str(sites.root)),
            *("--private", str(private), "--port", "0", "--workers", "1"),
            *("--www", f"{WWW.uid}:{WWW.gid}"),
        ],
        env={"PATH": "/usr/bin:/bin", "PYTHONPATH": f"{ROOT}:{packages}"},
    )
    shown = terminal.wait_for(b"}\r\n")
    return process, json.loads(shown.splitlines()[-1])["port"]


def fetched(port: int, target: str) -> str:
    with socket.create_connection(("127.0.0.1", port), PATIENCE) as connection:
        connection.sendall(request(target))
        return read_reply(connection.makefile("rb")).text


TRIES_THE_TERMINAL = (
    HEADER
    + r"""
import fcntl, os, termios
def tried(action):
    try:
        return repr(action())
    except OSError as error:
        return error.strerror
for number in (0, 1, 2):
    print(number, os.isatty(number))
print("reads 2:", tried(lambda: os.read(2, 100)))
print("reopens 2:", tried(lambda: os.open("/proc/self/fd/2", os.O_RDONLY)))
print("opens /dev/tty:", tried(lambda: os.open("/dev/tty", os.O_RDWR)))
print("types:", tried(lambda: fcntl.ioctl(2, termios.TIOCSTI, b"x")))
print("session:", os.getsid(0) == os.getppid() or os.getsid(0) == 0 or os.getsid(0))
os.write(2, b"word \x1b]0;title\x07 \x9b31m \xc2\x9b1m \xe2\x80\xae \r over\ttab\r\n")
os.write(2, b"L" * 9000 + b"\n" + b"last\n")
"""
)


@pytest.mark.parametrize("mode", ["dso", "suexec", "harache", "fastcgi"])
def test_scripts_have_no_way_to_the_operators_terminal(
    mode: str, sites: Sites, tmp_path: Path, terminal: Terminal
) -> None:
    sites.put("case.py", TRIES_THE_TERMINAL)
    private = tmp_path / "private"
    private.mkdir()
    process, port = served_in(terminal, mode, sites, private)
    terminal.type("what the operator types\n")
    said = fetched(port, "/case.py")
    assert "operator" not in said
    lines = said.splitlines()
    assert lines[:3] == ["0 False", "1 False", "2 False"]
    assert lines[3] == "reads 2: Bad file descriptor"
    assert lines[4] == "reopens 2: Permission denied"
    assert lines[5] in (
        "opens /dev/tty: No such device or address",
        "opens /dev/tty: Permission denied",  # by Landlock
    )
    assert lines[6] in ("types: Inappropriate ioctl for device", "types: Operation not permitted")
    shown = terminal.wait_for(b"last\r\n")
    assert b"word \\x1b]0;title\\x07 \\x9b31m \\x9b1m \\u202e \\r over\ttab\r\n" in shown
    assert not {*range(32), *range(127, 160)} & {*shown} - {*b"\t\r\n"}
    assert b"L" * 4000 + b"\r\n" + b"L" * 4000 + b"\r\n" + b"L" * 1000 + b"\r\n" in shown
    terminal.type("\x03")  # Ctrl-C
    assert process.wait(PATIENCE) == 0


def test_a_terminal_that_is_stopped_does_not_stop_the_server(
    sites: Sites, tmp_path: Path, terminal: Terminal
) -> None:
    sites.put("loud.py", HEADER + "import sys\nsys.stderr.write(('x' * 99 + '\\n') * 2000)")
    process, port = served_in(terminal, "dso", sites, tmp_path)
    terminal.type("\x13")  # Ctrl-S
    for _ in range(3):
        assert fetched(port, "/loud.py") == ""
    terminal.type("\x11")  # Ctrl-Q
    assert fetched(port, "/loud.py") == ""
    terminal.wait_for(b" lines left out)\r\n")
    process.terminate()
    assert process.wait(PATIENCE) == 0


def test_what_a_script_leaves_running_does_not_keep_the_operator_waiting(
    sites: Sites, tmp_path: Path, terminal: Terminal
) -> None:
    """It may hold the relay for ever, where no pid namespace ends it."""
    del sites, tmp_path

    def wait() -> int:
        keeper = relay.Relay()
        child = os.fork()
        if child == 0:
            keeper.enter()
            if os.fork() == 0:
                time.sleep(5)
                os._exit(0)
            os.write(2, b"the last word")
            os._exit(3)
        began = time.monotonic()
        status = os.waitstatus_to_exitcode(keeper.wait(child))
        return status if time.monotonic() - began < 4 else -1

    assert in_child(wait) == 3


def test_lines_are_cut_and_completed_as_they_come() -> None:
    lines = relay.Lines()
    assert list(lines.of(b"one\ntwo")) == ["one\n"]
    assert list(lines.of(b"\xc3")) == []
    assert list(lines.of(b"\xa9\nthree")) == ["two\u00e9\n"]
    assert lines.rest() == "three\n"
    assert lines.rest() == ""
    assert list(lines.of(b"x" * 5000)) == ["x" * 4000 + "\n", "x" * 1000 + "\n"]
    assert [len(line) for line in relay.Lines().of(b"\x1b" * 4000)] == [4001] * 4


def test_a_log_file_is_written_to_without_a_relay(sites: Sites) -> None:
    with Server("dso", sites) as server:
        said = printed(server, "import os; print(os.path.realpath('/proc/self/fd/2'))")
        assert said.endswith(".log")


# Signals, ranks, capabilities

REPORT = """
import ctypes, os, resource
wanted = {"SigIgn", "SigBlk", "CapInh", "CapAmb", "THP_enabled"}
for line in open("/proc/self/status"):
    name, _, value = line.partition(":")
    if name in wanted:
        # Without two that are glibc's own, which its posix_spawn ignores in the child.
        print(name, int(value, 16) & ~(3 << 31))
libc = ctypes.CDLL(None)
print("umask", os.umask(0o22))
print("nice", os.getpriority(os.PRIO_PROCESS, 0))
print("policy", os.sched_getscheduler(0))
print("slack", libc.prctl(30, 0, 0, 0, 0))
print("personality", libc.personality(ctypes.c_ulong(0xFFFFFFFF)))
print("oom", open("/proc/self/oom_score_adj").read().strip())
print("core", resource.getrlimit(resource.RLIMIT_CORE))
print("streams", all(os.path.exists(f"/proc/self/fd/{number}") for number in range(3)))
"""
FOR_SCRIPTS = {
    "SigIgn": str(1 << signal.SIGPIPE - 1 | 1 << signal.SIGXFSZ - 1),  # Python's own doing
    "SigBlk": "0",
    "CapInh": "0",
    "CapAmb": "0",
    "THP_enabled": "1",
    "umask": "18",
    "nice": "0",
    "policy": "0",
    "slack": "50000",
    "personality": "0",
    "oom": "0",
    "core": "(0, 0)",
    "streams": "True",
}
ODD_STARTS = {
    "set by a shell or a debugger": (
        "[signal.signal(n, signal.SIG_IGN) for n in range(1, 65) if n not in (9, 19, 32, 33)]",
        "signal.pthread_sigmask(signal.SIG_BLOCK, range(1, 65))",
        "os.umask(0)",
        "resource.setrlimit(resource.RLIMIT_CORE, (-1, -1))",
        "ctypes.CDLL(None).personality(0x0040000)",  # ADDR_NO_RANDOMIZE
        "ctypes.CDLL(None).prctl(29, 1, 0, 0, 0)",  # PR_SET_TIMERSLACK
        "ctypes.CDLL(None).prctl(41, 1, 0, 0, 0)",  # PR_SET_THP_DISABLE
    ),
    "before all others": (
        "os.nice(-5)",
        "os.sched_setscheduler(0, os.SCHED_RR, os.sched_param(1))",
        "open('/proc/self/oom_score_adj', 'w').write('-500')",
    ),
    "nowhere": (
        "os.close(2)",
        "os.mkdir('/tmp/isobench-gone')",
        "os.chdir('/tmp/isobench-gone')",
        "os.rmdir('/tmp/isobench-gone')",
    ),
}


@pytest.mark.parametrize("odd", ODD_STARTS)
@pytest.mark.parametrize("mode", ["dso", "suexec"])
def test_scripts_find_things_as_ever_when_the_start_was_odd(
    mode: str, odd: str, shared_sites: Sites
) -> None:
    with Server(mode, shared_sites, prefix=starting_with("; ".join(ODD_STARTS[odd]))) as server:
        found = dict(line.split(" ", 1) for line in printed(server, REPORT).splitlines())
        assert found == FOR_SCRIPTS


@pytest.mark.parametrize("mode", ["suid2", "fastcgi", "ruid2"])
@pytest.mark.parametrize(
    "words",
    [
        ("--inh-caps", "+setuid,+kill", "--ambient-caps", "+setuid"),
        ("--securebits", "+no_setuid_fixup"),
    ],
    ids=" ".join,
)
def test_no_tenant_keeps_a_capability_that_the_operator_handed_down(
    mode: str, words: tuple[str, ...], shared_sites: Sites
) -> None:
    source = "print(*[line for line in open('/proc/self/status') if line[:3] == 'Cap'])"
    with Server(mode, shared_sites, prefix=("setpriv", *words)) as server:
        found = dict(line.split() for line in printed(server, source).splitlines())
    switching = syscalls.capability_mask(syscalls.CAP_SETUID, syscalls.CAP_SETGID)
    assert int(found["CapPrm:"], 16) == (switching if mode == "ruid2" else 0)
    assert {int(found[name], 16) for name in ("CapInh:", "CapEff:", "CapAmb:")} == {0}


def test_locked_securebits_are_refused(sites: Sites) -> None:
    """With them, who becomes a tenant stays as powerful as root."""
    words = ("setpriv", "--securebits", "+no_setuid_fixup,+no_setuid_fixup_locked")
    server = Server("suid2", sites, prefix=words)
    assert server.close() == 2
    assert server.ready["ready"] is False
    assert "securebits are set (" in server.ready["reason"]
    assert "start isobench outside of what set them" in server.ready["hint"]


def test_a_nice_value_that_the_operator_chose_stays(sites: Sites) -> None:
    with Server("dso", sites, prefix=("nice", "-n", "7")) as server:
        assert "nice 7" in printed(server, REPORT)


def test_nohup_holds(sites: Sites) -> None:
    with Server("dso", sites, prefix=starting_with("signal.signal(1, signal.SIG_IGN)")) as server:
        server.process.send_signal(signal.SIGHUP)
        assert server.get().status == 200


# What scripts leave on the host

LEAVES_BEHIND = """
import ctypes, os, mmap
c = ctypes.CDLL(None, use_errno=True)
made = [c.shmget({key}, 4096, 0o1666), c.semget({key}, 1, 0o1666), c.msgget({key}, 0o1666)]
c.mq_open.restype = ctypes.c_int
made.append(c.mq_open(b"/isobench-test-%d" % os.getuid(), os.O_CREAT | os.O_RDWR, 0o666, None))
made.append(os.open("/dev/shm/isobench-left-{key}", os.O_CREAT | os.O_RDWR))
print(*[number >= 0 for number in made])
"""


def on_the_host(key: int) -> list[str]:
    """Return what there is of System V objects with a key, and of shared memory."""
    found = [
        kind
        for kind in ("shm", "sem", "msg")
        for line in Path("/proc/sysvipc", kind).read_text().splitlines()[1:]
        if int(line.split()[0]) == key
    ]
    return found + [path.name for path in Path("/dev/shm").glob(f"isobench-left-{key}")]


@pytest.mark.parametrize("mode", ["dso", "suexec"])
def test_system_v_objects_end_with_the_server(mode: str, sites: Sites) -> None:
    key = 0x15000000 + os.getpid() % 0xFFFF
    with Server(mode, sites) as server:
        said = printed(server, LEAVES_BEHIND.format(key=key))
        assert said == "True True True True True"
        assert on_the_host(key) == []
    assert on_the_host(key) == []


NO_NAMESPACES = where_readable("setpriv", "--bounding-set", "-sys_admin")


def test_without_namespaces_they_are_removed_at_its_end(sites: Sites) -> None:
    key = 0x16000000 + os.getpid() % 0xFFFF
    with Server("dso", sites, prefix=NO_NAMESPACES) as server:
        said = printed(server, LEAVES_BEHIND.format(key=key))
        assert said == "True True True True True"
        assert on_the_host(key) == ["shm", "sem", "msg", f"isobench-left-{key}"]
        server.process.terminate()
        server.process.wait(PATIENCE)
    assert on_the_host(key) == []


@keys.needs_keys
def test_keys_in_a_tenants_own_keyring_end_with_the_server(sites: Sites) -> None:
    """They are the uid's, whatever its session, and would wait for whoever gets that next."""
    look = keys.LOOK_FOR.format(name="left")
    with Server("harache", sites) as server:
        assert printed(server, keys.leave("left", "word", keys.USER)) == "left"
        assert printed(server, look) == "unreadable"  # found, but not linked to the session
        assert printed(server, look, "t0002") == "no key"
    with Server("harache", sites) as server:
        assert printed(server, look) == "no key"


def test_what_others_have_made_is_left_alone() -> None:
    """What was there before, and what a uid has made that is a user's, such as nobody's."""
    key, nobody = 0x17000000 + os.getpid() % 0xFFFF, 65534
    made = []

    def make(uid: int) -> int:
        os.setresuid(uid, uid, uid)
        return int(ctypes.CDLL(None).shmget(key, 4096, 0o1600))

    try:
        made.append(in_child(lambda: make(WWW.uid)))
        in_child(lambda: leftovers.remove([WWW.uid], time.time() + 100))
        assert on_the_host(key) == ["shm"]
        in_child(lambda: leftovers.remove([WWW.uid], time.time() - 100))
        assert on_the_host(key) == []
        made.append(in_child(lambda: make(nobody)))
        in_child(lambda: leftovers.remove([nobody, 0], time.time() - 100))
        assert on_the_host(key) == ["shm"]
    finally:
        for number in made:
            ctypes.CDLL(None).shmctl(number, 0, None)


def test_a_script_cannot_end_the_server_by_what_it_makes_of_the_log(sites: Sites) -> None:
    """It shares the open file with the master: here a pipe that is full, and does not block."""
    with Server("suid2", sites) as server:
        source = """
        import fcntl, os
        fcntl.fcntl(2, fcntl.F_SETFL, os.O_NONBLOCK | os.O_DIRECT)
        os.kill(os.getpid(), 9)
        """
        for _ in range(3):
            assert server.run(textwrap.dedent(source)).status == 0
        assert server.get().status == 200
