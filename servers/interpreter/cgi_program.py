"""A script as a program of its own: spawned, fed, read to its end, reaped. For `cgi` and `suexec`.

Rule 1: the body is the program's standard input as a file in memory, complete before the program
starts. A pipe would need the server to write and read at once, or both sides could wait for ever.

Rule 2: the program leads a process group of its own, so that all it started ends with it.

Rule 3: the worker waits in plain blocking calls. When the script's time is up the master signals
the worker, which raises ScriptTimeout there (see `pool`).

Rule 4: the answer is whole when all have closed the standard output, or when the program itself has
ended and whoever else holds it, such as a daemon that it has started, has been silent for a second.
Apache waits for the end of the file; Go's os/exec has the same remedy (Cmd.WaitDelay).
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
from collections.abc import Callable
from typing import Final

from servers.interpreter.embedded import OutputTooLarge, ScriptTimeout
from servers.kernel.reaping import await_end, exit_code

Spawn = Callable[[list[bytes], dict[bytes, bytes], int, int], int]

_CHUNK: Final = 64 * 1024
_SILENCE_MS: Final = 1000
# Python ignores these two signals in itself, and exec would hand that down (signal(7)).
_RESET_SIGNALS: Final = (signal.SIGPIPE, signal.SIGXFSZ)


def posix_spawn(
    arguments: list[bytes], environment: dict[bytes, bytes], stdin: int, stdout: int
) -> int:
    """Start a program by posix_spawn(3), which glibc does with CLONE_VFORK: no page tables copied.

    Returns its process id. Raises OSError when it cannot be executed.
    """
    return os.posix_spawn(
        arguments[0],
        arguments,
        environment,
        file_actions=((os.POSIX_SPAWN_DUP2, stdin, 0), (os.POSIX_SPAWN_DUP2, stdout, 1)),
        setpgroup=0,
        setsigdef=_RESET_SIGNALS,
    )


def fork_and_exec(
    arguments: list[bytes], environment: dict[bytes, bytes], stdin: int, stdout: int
) -> int:
    """Start a program by fork(2) and execve(2), as Apache does.

    Returns its process id. Raises OSError when it cannot be executed: the child tells its errno
    through a pipe that a successful exec closes.
    """
    told, tell = os.pipe2(os.O_CLOEXEC)
    process = os.fork()
    if process == 0:
        try:
            os.setpgid(0, 0)
            os.dup2(stdin, 0)
            os.dup2(stdout, 1)
            for number in _RESET_SIGNALS:
                signal.signal(number, signal.SIG_DFL)
            os.execve(arguments[0], arguments, environment)
        except OSError as error:
            os.write(tell, b"%d" % (error.errno or 0))
        finally:
            os._exit(127)
    os.close(tell)
    with open(told, "rb") as pipe:
        failure = pipe.read()
    if failure:
        await_end(process)
        raise OSError(int(failure), os.strerror(int(failure)))
    return process


SPAWNERS: Final[dict[str, Spawn]] = {"posix_spawn": posix_spawn, "fork": fork_and_exec}


class Program:
    """A running program. `read_output`, then `finish`, whatever happened in between."""

    def __init__(
        self,
        spawn: Spawn,
        arguments: list[bytes],
        environment: dict[bytes, bytes],
        body: bytes,
    ) -> None:
        stdin = _file_in_memory(body) if body else os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC)
        try:
            self._output, output = os.pipe2(os.O_CLOEXEC)
            try:
                self._process = spawn(arguments, environment, stdin, output)
            except BaseException:
                os.close(self._output)
                raise
            finally:
                os.close(output)
        finally:
            os.close(stdin)

    def read_output(self, limit: int) -> bytes:
        """Read standard output until the answer is whole (Rule 4).

        Raises OutputTooLarge above `limit` bytes. ScriptTimeout, thrown in here, is the end of the
        answer, too, if the program has ended by itself.
        """
        chunks: list[bytes] = []
        try:
            self._read_chunks(chunks, limit)
        except ScriptTimeout:
            if not self._has_ended():
                raise
        return b"".join(chunks)

    def _read_chunks(self, chunks: list[bytes], limit: int) -> None:
        poller = select.poll()
        poller.register(self._output, select.POLLIN)
        size = 0
        while size <= limit:
            if not poller.poll(_SILENCE_MS):
                if self._has_ended() and not poller.poll(0):
                    return
                continue
            chunk = os.read(self._output, _CHUNK)
            if not chunk:
                return
            chunks.append(chunk)
            size += len(chunk)
        raise OutputTooLarge(f"the script printed more than {limit} bytes")

    def _has_ended(self) -> bool:
        """Return whether the program itself has ended, and leave it to be reaped."""
        options = os.WEXITED | os.WNOHANG | os.WNOWAIT
        return os.waitid(os.P_PID, self._process, options) is not None

    def finish(self, kill: bool) -> int:
        """Wait for the program's end and return its exit status, negative for a signal.

        `kill` ends its process group first. A program of another uid is beyond our reach; the
        master kills it when its time is up.
        """
        os.close(self._output)
        if kill:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self._process, signal.SIGKILL)
        return exit_code(await_end(self._process))


def _file_in_memory(content: bytes) -> int:
    descriptor = os.memfd_create("request-body", os.MFD_CLOEXEC)
    view = memoryview(content)
    while view:
        view = view[os.write(descriptor, view) :]
    os.lseek(descriptor, 0, os.SEEK_SET)
    return descriptor
