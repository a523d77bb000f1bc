"""Load generators that are forked from one process, which has imported Locust for all of them."""

from __future__ import annotations

import contextlib
import io
import json
import os
import select
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Self

from harness.host.surroundings import clean_environment
from harness.target.line_process import Process

_ANSWER_S = 120.0
_END_S = 5.0
_LONGEST = 4096


class ForkServer:
    """A context around `python -m workloads.load.forkserver`, whose docstring has the protocol.

    Start it in a thread that lasts: it ends with the one that started it.
    """

    def __init__(self, log: Path, import_path: Sequence[str]) -> None:
        self._log = log
        self._environment = clean_environment({"PYTHONPATH": os.pathsep.join(import_path)})
        self._asking = threading.Lock()
        self._pidfds: list[int] = []

    def __enter__(self) -> Self:
        self._socket, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._socket.settimeout(_ANSWER_S)
        with theirs, open(self._log, "ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-P", "-m", "workloads.load.forkserver", str(theirs.fileno())],
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                pass_fds=[theirs.fileno()],
            )
        return self

    def fork(self, _command: Sequence[str], *, stderr: IO[str], **_options: Any) -> Process:
        """Start a generator, as `subprocess.Popen` would. Raises OSError without a server."""
        theirs_in, commands = os.pipe()
        words, theirs_out = os.pipe()
        try:
            answer = self.ask({"fork": True}, [theirs_in, theirs_out, stderr.fileno()])
        except BaseException:
            os.close(commands)
            os.close(words)
            raise
        finally:
            os.close(theirs_in)
            os.close(theirs_out)
        return _Forked(self, int(answer["pid"]), commands, words)

    def pidfd_of(self, pid: int) -> int:
        """Return a descriptor of a generator that lasts as long as this server."""
        self._pidfds.append(os.pidfd_open(pid))
        return self._pidfds[-1]

    def ask(self, message: Mapping[str, Any], streams: Sequence[int] = ()) -> dict[str, Any]:
        """Return the answer to a message. Raises OSError where the server is gone."""
        with self._asking:
            socket.send_fds(self._socket, [json.dumps(message).encode()], streams)
            text = self._socket.recv(_LONGEST)
        if not text:
            raise ConnectionResetError("the fork server has ended")
        answer: dict[str, Any] = json.loads(text)
        return answer

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._socket.close()
        try:
            self._process.wait(_END_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        for pidfd in self._pidfds:
            os.close(pidfd)


class _Forked:
    """A process that is no child of ours: its end shows at its pidfd, its status is asked for."""

    def __init__(self, server: ForkServer, pid: int, commands: int, words: int) -> None:
        self.pid = pid
        self.stdin: IO[str] | None = os.fdopen(
            commands, "w", encoding="utf-8", errors="surrogateescape"
        )
        self.stdout: IO[str] | None = io.TextIOWrapper(os.fdopen(words, "rb"), encoding="utf-8")
        self._server = server
        self._pidfd = server.pidfd_of(pid)
        self._status: int | None = None
        self._asking = threading.Lock()

    def poll(self) -> int | None:
        return self._ended(0.0)

    def wait(self, timeout: float | None = None) -> int:
        status = self._ended(timeout)
        if status is None:
            raise subprocess.TimeoutExpired("a generator", timeout or 0.0)
        return status

    def kill(self) -> None:
        if self._status is None:
            with contextlib.suppress(ProcessLookupError):
                signal.pidfd_send_signal(self._pidfd, signal.SIGKILL)

    def _ended(self, within_s: float | None) -> int | None:
        if self._status is None:
            ended = select.poll()
            ended.register(self._pidfd, select.POLLIN)
            if ended.poll(None if within_s is None else 1000 * within_s):
                with self._asking:  # several threads may wait, and the server knows it once only
                    if self._status is None:
                        self._status = self._ask()
        return self._status

    def _ask(self) -> int:
        try:
            return int(self._server.ask({"status": self.pid})["status"])
        except OSError:  # killed with its server
            return -signal.SIGKILL
