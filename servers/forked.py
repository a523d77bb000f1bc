"""A script in a child that is forked for it: the worker prepares, the child runs, the worker reads.

Strategy: the price of a fork is pages. Each page that parent or child writes to while both live
has to be copied or at least faulted for, and in CPython even reading an object writes to its page.
So what can be done before the fork is done before it, and the child does the rest in few steps.

Rule 1: the child has no descriptor but the standard streams and the pipe that its answer goes
through: neither the client's connection nor the listening socket are a script's to touch.

Rule 2: the worker, which may be root, never looks into what a script has made, beyond reading its
output. Compiled code comes back as bytes, which the next child for the same script unmarshals once
it has become the same owner. The pipe is made anew for each request, so that a process that an
earlier script has left behind cannot put anything into it.
"""

from __future__ import annotations

import contextlib
import marshal
import os
import signal
from collections.abc import Callable
from types import CodeType
from typing import BinaryIO, Final, NoReturn

from servers.http import Request, Response
from servers.script import (
    MOST_CACHED_SCRIPTS,
    OutputTooLarge,
    ScriptFailed,
    Stage,
    compile_script,
    open_script,
    parse_output,
    state_of,
)

_ANSWERED: Final = b"A"
_FAILED: Final = b"F"
_REFUSED: Final = b"R"
_LENGTH: Final = 8
_LARGEST_ERRNO: Final = 0xFFFF
_FIRST_DESCRIPTOR: Final = 3
_LAST_DESCRIPTOR: Final = 0xFFFF
_LARGEST_CACHED_CODE: Final = 1024 * 1024


class ForkedScripts:
    """Runs scripts in children of this worker, one at a time."""

    def __init__(self, output_limit: int, code_cache: bool) -> None:
        self._output_limit = output_limit
        self._code_cache = code_cache
        self._compiled: dict[bytes, bytes] = {}
        self._child = 0

    def run(
        self, request: Request, environment: dict[bytes, bytes], enter: Callable[[], object]
    ) -> Response:
        """Run the request's script in a child, after `enter` has changed its identity there.

        Raises what `Embedded.run` raises, and ScriptFailed when the child ends without an answer.
        `kill` must follow, in any case.
        """
        path = request.script.path
        receive, send = os.pipe2(os.O_CLOEXEC)
        with open(receive, "rb") as pipe:
            stage = Stage(request, environment, self._output_limit)
            try:
                self._child = os.fork()
                if self._child == 0:
                    self._run_and_exit(request, stage, enter, send)
            finally:
                os.close(send)
                stage.strike()
            verdict = pipe.read(1)
            output = _read_part(pipe, self._output_limit)
            code = _read_part(pipe, _LARGEST_CACHED_CODE)
        os.waitpid(self._child, 0)
        self._child = 0
        if code:
            self._remember(path, code)
        if verdict == _ANSWERED:
            return parse_output(output)
        if verdict == _REFUSED:
            number = int.from_bytes(output[:_LENGTH], "little") & _LARGEST_ERRNO
            raise OSError(number, os.strerror(number))
        raise ScriptFailed(output.decode("utf-8", "replace"))

    def kill(self) -> None:
        """End a child that has not come to its end, because its time was up."""
        if self._child:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self._child, signal.SIGKILL)
            os.waitpid(self._child, 0)
            self._child = 0

    def _remember(self, path: bytes, code: bytes) -> None:
        if len(self._compiled) >= MOST_CACHED_SCRIPTS:
            self._compiled.clear()
        self._compiled[path] = code

    def _run_and_exit(
        self, request: Request, stage: Stage, enter: Callable[[], object], send: int
    ) -> NoReturn:
        """Run the script and send its output to the worker. In the child."""
        verdict, output, fresh = _FAILED, b"its process could not be prepared", b""
        try:
            os.closerange(_FIRST_DESCRIPTOR, send)
            os.closerange(send + 1, _LAST_DESCRIPTOR)
            enter()
            code, fresh = self._code_of(request.script.path)
            os.chdir(request.script.site.root)
            output = stage.perform(code)
            verdict = _ANSWERED
        except ScriptFailed as error:
            output = str(error).encode()
        except OSError as error:
            verdict, output = _REFUSED, (error.errno or 0).to_bytes(_LENGTH, "little")
        finally:
            try:
                _write(send, verdict + _part(output) + _part(fresh))
            finally:  # the script closed the pipe, or the worker did because time was up
                os._exit(0)

    def _code_of(self, path: bytes) -> tuple[CodeType, bytes]:
        """Return a script's code, and what the worker should keep of it. In the child."""
        descriptor = open_script(path)
        state = state_of(descriptor)
        if kept := self._compiled.get(path):
            kept_state, code = marshal.loads(kept)
            if kept_state == state:
                os.close(descriptor)
                return code, b""
        code = compile_script(descriptor, path)
        os.close(descriptor)
        fresh = marshal.dumps((state, code)) if self._code_cache else b""
        return code, fresh if len(fresh) <= _LARGEST_CACHED_CODE else b""


def _part(content: bytes) -> bytes:
    return len(content).to_bytes(_LENGTH, "little") + content


def _write(descriptor: int, message: bytes) -> None:
    view = memoryview(message)
    while view:
        view = view[os.write(descriptor, view) :]


def _read_part(pipe: BinaryIO, limit: int) -> bytes:
    """Read one part of a child's message, whose sender may be hostile. Raises ScriptFailed."""
    length = int.from_bytes(_read_exactly(pipe, _LENGTH), "little")
    if length > limit:
        raise OutputTooLarge(f"the script printed more than {limit} bytes")
    return _read_exactly(pipe, length)


def _read_exactly(pipe: BinaryIO, length: int) -> bytes:
    content = pipe.read(length)
    if len(content) < length:
        raise ScriptFailed("its process ended before it answered")
    return content
