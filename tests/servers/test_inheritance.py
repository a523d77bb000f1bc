"""What servers do not hand on of what they inherit: keys, a terminal, signals, ranks, and more."""

import ctypes
import errno
import fcntl
import json
import os
import pty
import resource
import select
import signal
import socket
import subprocess
import termios
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httptools
import pytest

from servers import clean_start, containment, keyring, linux, modes, relay
from servers.mode import Unavailable
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
)

pytestmark = needs_root

HEADER = "print('Content-Type: text/plain\\n')\n"
REUSED = ("dso", "safe_mode", "ruid2", "hussa", "suzuki", "process_security")
EVERY_MODE = modes.names()


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
@pytest.mark.parametrize("mode", EVERY_MODE)
def test_scripts_have_no_key_of_the_operator_nor_of_another_tenant(mode: str, sites: Sites) -> None:
    with Server(mode, sites, prefix=plant_a_key()) as server:
        assert server.ready["own_session_keyring"]
        if mode == "safe_mode":
            pytest.skip("its guard keeps scripts from ctypes; what it lets pass is dso's")
        look = keys.LOOK_FOR
        if mode == "sandbox":
            assert printed(server, keys.leave("left", "word")) == "Operation not permitted"
            return
        assert printed(server, look.format(name="operators")) == "no key"
        said = printed(server, keys.leave("left", "word"))
        assert said == (
            "Permission denied" if mode in (*REUSED, "cgi", "process_security_shipped") else "left"
        )
        assert printed(server, look.format(name="left"), "t0002") == "no key"


@keys.needs_keys
def test_a_sealed_keyring_takes_nothing_and_cannot_be_unsealed() -> None:
    def attempt() -> list[int]:
        add_key, keyctl = keys.NUMBERS
        libc = ctypes.CDLL(None, use_errno=True)
        assert keyring.join_sealed()
        os.setresuid(47000, 47000, 47000)
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

    def start(self, command: list[str], **options: Any) -> "subprocess.Popen[bytes]":
        """Start a command as a shell would: the terminal is its controlling one, and all streams."""

        def take() -> None:
            os.setsid()
            fcntl.ioctl(0, termios.TIOCSCTTY, 0)

        streams = dict.fromkeys(("stdin", "stdout", "stderr"), self._theirs)
        return subprocess.Popen(command, preexec_fn=take, **{**streams, **options})

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
    + """
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


@pytest.mark.parametrize("mode", ["dso", "cgi", "suexec", "harache", "fastcgi", "zygote"])
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
    assert lines[5] == "opens /dev/tty: No such device or address"
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
    fetched(port, "/loud.py")
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
