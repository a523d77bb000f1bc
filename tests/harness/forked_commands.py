"""isobench as a process of its own that is forked, not started: from one that has imported it.

    python -m tests.harness.forked_commands SOCKET

To import what a command needs takes two seconds of processor time, and tests give a hundred
commands. SOCKET is the number of an open Unix socket of sequenced packets. Each message is one of

    {"arguments": [...], "environment": {...}, "directory": ..., "drawn": ...}
                        with two descriptors, stdout and stderr of the command, which leads a
                        session of its own; the answer is {"pid": 4711}
    {"status": 4711}    the answer is {"status": 0}, as `subprocess` has it, once it has ended

It ends when the other end of the socket is closed.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import IO, Any, Self
from unittest import mock

ROOT = Path(__file__).parents[2]
IMPORTED = (
    "tests.harness.undrawn",
    "harness.commands.checking.doctor",
    "harness.commands.measuring.attack",
    "harness.commands.measuring.profile",
    "harness.commands.running.run",
    "harness.commands.serving.serve",
)
LONGEST = 1 << 17
PATIENCE_S = 120.0


class Commands:
    """A context in which commands can be forked; what forks them is started for the first one."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._process is not None:
            self._socket.close()
            self._process.wait(PATIENCE_S)

    def start(
        self,
        arguments: Sequence[str],
        environment: Mapping[str, str],
        streams: Sequence[IO[str]],
        *,
        drawn: bool,
    ) -> Command:
        """Start a command with these streams, stdout and stderr."""
        if self._process is None:
            self._begin()
        message = {
            "arguments": arguments,
            "environment": dict(environment),
            "directory": str(ROOT),
            "drawn": drawn,
        }
        return Command(self, self.ask(message, [one.fileno() for one in streams])["pid"])

    def _begin(self) -> None:
        self._socket, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._socket.settimeout(PATIENCE_S)
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-m", __name__, str(theirs.fileno())],
                cwd=ROOT,
                pass_fds=[theirs.fileno()],
                start_new_session=True,
            )

    def ask(self, message: Mapping[str, Any], streams: Sequence[int] = ()) -> dict[str, Any]:
        """Return the answer to a message."""
        socket.send_fds(self._socket, [json.dumps(message).encode()], streams)
        answer: dict[str, Any] = json.loads(self._socket.recv(LONGEST))
        return answer


class Command:
    """A command that was forked, as `subprocess.Popen` would have it."""

    def __init__(self, commands: Commands, pid: int) -> None:
        self.pid = pid
        self.returncode: int | None = None
        self._commands = commands
        self._pidfd = os.pidfd_open(pid)

    def poll(self) -> int | None:
        return self._ended(0.0)

    def wait(self, timeout: float | None = None) -> int:
        status = self._ended(timeout)
        if status is None:
            raise subprocess.TimeoutExpired("isobench", timeout or 0.0)
        return status

    def send_signal(self, sig: int) -> None:
        if self.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                signal.pidfd_send_signal(self._pidfd, sig)

    def terminate(self) -> None:
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)

    def _ended(self, within_s: float | None) -> int | None:
        if self.returncode is None:
            ended = select.poll()
            ended.register(self._pidfd, select.POLLIN)
            if ended.poll(None if within_s is None else 1000 * within_s):
                self.returncode = int(self._commands.ask({"status": self.pid})["status"])
                os.close(self._pidfd)
        return self.returncode


def main() -> int:
    """Serve messages until the other end is closed."""
    server = socket.socket(fileno=int(sys.argv[1]))
    _import_all()
    while True:
        text, streams, _, _ = socket.recv_fds(server, LONGEST, 2)
        if not text:
            return 0
        message = json.loads(text)
        if "status" in message:
            _, status = os.waitpid(message["status"], 0)
            _answer(server, status=os.waitstatus_to_exitcode(status))
        elif pid := os.fork():
            for stream in streams:
                os.close(stream)
            _answer(server, pid=pid)
        else:
            server.close()
            return _carried_out(message, streams)


def _import_all() -> None:
    from reports.figures.drawing import own_settings

    for name in IMPORTED:
        import_module(name)
    with own_settings():
        import_module("reports.page")


def _answer(server: socket.socket, **fields: int) -> None:
    server.send(json.dumps(fields).encode())


def _carried_out(message: Mapping[str, Any], streams: Sequence[int]) -> int:
    """Become the command: return the exit code of `isobench`."""
    import reports
    from harness import __main__ as isobench
    from tests.harness import undrawn

    os.setsid()
    for number, stream in enumerate(streams, 1):
        os.dup2(stream, number)
        os.close(stream)
    os.chdir(message["directory"])
    os.environ.clear()
    os.environ.update(message["environment"])
    tempfile.tempdir = None  # found out anew, from TMPDIR
    sys.argv = ["isobench", *message["arguments"]]
    if not message["drawn"]:
        reports.make = undrawn.make
    with mock.patch("os.fsync", return_value=None):
        return isobench.main()


if __name__ == "__main__":
    sys.exit(main())
