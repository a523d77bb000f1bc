"""Load generators that are forked from one process, which has imported Locust for all of them."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Self

from harness.host.surroundings import clean_environment
from harness.target.line_process import Process
from harness.target.others_child import OthersChild

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
        pid = int(answer["pid"])
        self._pidfds.append(os.pidfd_open(pid))  # it lasts as long as this server
        status = partial(self._status_of, pid)
        return OthersChild("a generator", pid, commands, words, self._pidfds[-1], status)

    def _status_of(self, pid: int) -> int:
        try:
            return int(self.ask({"status": pid})["status"])
        except OSError:
            return -signal.SIGKILL  # killed with its server

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
