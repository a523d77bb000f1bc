"""The operator of a scene: who has a terminal and keys, and starts a server from there."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import IO, Any, Final, Self

from harness.attack.seats.operators_host import OperatorsHost
from harness.attack.seats.starter import KEY
from harness.target.line_process import Process
from harness.target.others_child import OthersChild, is_readable
from harness.target.targets import server_command

__all__ = ["KEY", "Operator", "Terminal"]

_PATIENCE_S: Final = 30.0
_LONGEST: Final = 64


class Terminal:
    """A terminal at which the operator sits; a context."""

    def __init__(self) -> None:
        self._operators, self._programs = os.openpty()
        os.set_blocking(self._operators, False)
        os.set_blocking(self._programs, False)
        self.path = os.ttyname(self._programs)

    def __enter__(self) -> Terminal:
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self._operators)
        os.close(self._programs)

    def type(self, line: str) -> None:
        """Type a line, for whoever reads first."""
        os.write(self._operators, f"{line}\n".encode())

    def shown(self) -> bytes:
        """Return what the terminal has shown since this was asked last."""
        return _all_of(self._operators)

    def typed(self) -> bytes:
        """Return the lines that a shell at this terminal would read now."""
        return _all_of(self._programs)


def _all_of(descriptor: int) -> bytes:
    found = b""
    with suppress(BlockingIOError):
        while part := os.read(descriptor, 4096):
            found += part
    return found


class Operator:
    """Starts servers one after the other, each at a terminal; a context, at whose end it leaves.

    Has a process for it, which is started with the first server (see `starter`), and what is left
    on `host` is gone with it. `visible` are paths that servers need, also in /tmp or /dev/shm.
    """

    def __init__(self, visible: Sequence[Path] = ()) -> None:
        self._visible = visible
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._leave()

    @property
    def host(self) -> OperatorsHost:
        """The host, as servers find it that have no namespaces of their own."""
        return OperatorsHost(os.getpid() if self._process is None else self._process.pid)

    def at(self, terminal: Terminal, key: str) -> Callable[..., Process]:
        """Return what starts a server from there, with a key, as `subprocess.Popen` would.

        Its command is `python ... -m PROGRAM WORD...`. Raises OSError where it cannot be started.
        """

        def start(
            command: Sequence[str], *, env: Mapping[str, str], stderr: IO[str], **_: object
        ) -> Process:
            return self._start(command, terminal, key, env, stderr)

        return start

    def _start(
        self,
        command: Sequence[str],
        terminal: Terminal,
        key: str,
        environment: Mapping[str, str],
        stderr: IO[str],
    ) -> Process:
        order = {
            "command": command[command.index("-m") + 1 :],
            "environment": dict(environment),
            "terminal": terminal.path,
            "key": key,
        }
        # One that was killed may not be seen to have ended yet.
        for _ in range(2):
            if started := self._ordered(order, stderr):
                return started
        raise ChildProcessError("the process that starts servers has ended")

    def _ordered(self, order: Mapping[str, Any], stderr: IO[str]) -> Process | None:
        """Return what the starter has started, None where it has ended."""
        line = self._line_to_starter()
        theirs_in, ours_in = os.pipe()
        ours_out, theirs_out = os.pipe()
        try:
            streams = [theirs_in, theirs_out, stderr.fileno()]
            socket.send_fds(line, [json.dumps(order).encode()], streams)
            pid = int(_heard(line, _PATIENCE_S) or 0)
        except (OSError, ValueError):
            pid = 0
        finally:
            os.close(theirs_in)
            os.close(theirs_out)
        if not pid:
            os.close(ours_in)
            os.close(ours_out)
            self._leave()
            return None
        return OthersChild(
            "a server", pid, ours_in, ours_out, line.fileno(), partial(_status, line)
        )

    def _line_to_starter(self) -> socket.socket:
        if self._process is None or self._process.poll() is not None:
            self._leave()
            self._line, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
            command, environment = server_command()
            visible = map(str, self._visible)
            program = str(Path(__file__).with_name("starter.py"))
            with theirs:
                self._process = subprocess.Popen(
                    [*command[: command.index("-m")], program, str(theirs.fileno()), *visible],
                    env=environment,
                    cwd="/",
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.DEVNULL,
                    pass_fds=[theirs.fileno()],
                    start_new_session=True,
                )
        return self._line

    def _leave(self) -> None:
        """Have the process end, which it does when its last server has."""
        if self._process is not None:
            self._line.close()
            try:
                self._process.wait(_PATIENCE_S)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
            self._process = None


def _heard(line: socket.socket, within_s: float | None) -> bytes | None:
    """Return the starter's next word, b"" where it has ended; None where it says none in time."""
    if not is_readable(line.fileno(), within_s):
        return None
    try:
        return line.recv(_LONGEST)
    except ConnectionError:
        return b""


def _status(line: socket.socket) -> int:
    """Return how the server has ended, as the starter tells; where that has ended too: killed."""
    word = _heard(line, None)
    return int(word) if word else -signal.SIGKILL
