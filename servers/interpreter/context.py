"""The embedded interpreter's part of running a script: what it finds around it, and its code.

Imports next to nothing, not even `typing`: the lean process that `zygote` forks is made of this.
"""

from __future__ import annotations

import builtins
import io
import os
import sys
from sys import getrefcount
from types import CodeType, ModuleType

from servers.interpreter.site_imports import SiteImports
from servers.remembered import Remembered

TYPE_CHECKING = False  # what mypy believes to be true, as that of `typing`
if TYPE_CHECKING:
    from typing import Any, Final, TextIO

# Of a process, in bytes. Scripts and the ways to them are without an end, and so are their sizes.
MOST_KEPT_CODE: Final = 16 * 1024 * 1024
_LARGEST_SCRIPT: Final = 8 * 1024 * 1024
_CHUNK: Final = 8 * 1024  # memory for more would grow the heap, a page fault more each

# What the interpreter of a CGI program has, whose environment names no locale (PEP 538): bytes that
# are no UTF-8 come through unchanged. Line ends stay as they are on the way in, too.
_ENCODING: Final = "utf-8"
_ERRORS: Final = "surrogateescape"

FileState = tuple[int, int, int, int]

# os.environ and os.environb are views of one dictionary of bytes. Replacing that is far cheaper
# than a putenv for each variable, and modules that did `from os import environ` see it as well.
_environ: Any = os.environ
_environb: Any = os.environb


_files: Final = Remembered(os.fsdecode)


class ScriptFailed(Exception):
    """The script is to blame: the client gets a 500, the reason goes to the log."""


class ScriptTimeout(BaseException):
    """The script has had its time. Raised in the worker while it handles a request.

    Not an Exception, so that a script's own `except Exception` lets it pass.
    """


class OutputTooLarge(ScriptFailed):
    """The script printed more than the server is willing to hold."""


class _Output(io.BytesIO):
    """A script's standard output: bounded, and readable even after the script closed it."""

    __slots__ = ("_limit",)

    def __init__(self, limit: int) -> None:
        super().__init__()
        self._limit = limit

    def write(self, data: Any) -> int:
        if self.tell() + len(data) > self._limit:
            raise OutputTooLarge(f"the script printed more than {self._limit} bytes")
        return super().write(data)

    def readable(self) -> bool:
        """Say no, as a program's standard output does. So the stream above needs no decoder."""
        return False

    def close(self) -> None:
        """Ignore a script's close: the server has yet to read."""


class _Text(io.TextIOWrapper):
    """The text layer of a script's standard output, which notes that a script has changed it."""

    def reconfigure(self, **changes: Any) -> None:  # what it changes cannot all be read
        self.changed = True
        super().reconfigure(**changes)


class _ForkWatch:
    """Knows, in a process, whether it was forked since `seen` was last reset."""

    def __init__(self) -> None:
        self.seen = False
        os.register_at_fork(after_in_child=self._note)

    def _note(self) -> None:
        self.seen = True


_fork_watch: Final = _ForkWatch()


class _NoInput(io.StringIO):
    """The standard input of a request without a body: a third of the price of a real stream."""

    encoding = _ENCODING
    errors = _ERRORS

    @property
    def buffer(self) -> io.BytesIO:
        """The bytes below the text: none."""
        return io.BytesIO()


# What a module that is to be run has to begin with.
_FIRST_NAMES: Final = {**vars(ModuleType("__main__")), "__builtins__": builtins}


class Stage:
    """What a script finds around it: the standard streams, the environment, `__main__`.

    For one script: `set`, `perform`, `strike`. A process that forks for each script makes one
    stage for all of them, since each child finds it unused.
    """

    def __init__(self, limit: int, ends_process: bool = False) -> None:
        """Make the streams; `limit` is the most bytes that a script may print.

        `ends_process` says that the process ends with the script, so that its exit handlers are
        called.
        """
        self._ends_process = ends_process
        self._limit = limit
        self._output = _Output(limit)
        self._stdout = _Text(self._output, _ENCODING, _ERRORS, newline="\n")
        self._no_input = _NoInput()
        self._main = ModuleType("__main__")
        self._namespace = self._main.__dict__
        self._namespace["__builtins__"] = builtins
        self._imports = SiteImports()
        modules = {"__main__": self._main}  # as in `sys.modules`, while a script runs
        self._references = self._count_references()
        modules.clear()

    def _count_references(self) -> int:
        return (
            getrefcount(self._stdout)
            + getrefcount(self._output)
            + getrefcount(self._main)
            + getrefcount(self._namespace)
        )

    def clear(self) -> bool:
        """Make the stage ready for another script; return False if it cannot be used again.

        Making streams and a module takes longer than most of what a small request needs. They
        serve again unless the script has kept or changed one of them. For one that was struck, and
        whose script did not fail: what that printed may be in `stdout` still.
        """
        if (
            self._count_references() != self._references
            or type(self._output) is not _Output
            or type(self._stdout) is not _Text
            or type(self._main) is not ModuleType
            or self._output._limit is not self._limit
            or self._output.__dict__
            or self._stdout.__dict__
            or self._namespace
            or sys.modules.get("__main__") is not self._main
        ):
            return False
        try:
            if self._stdout.buffer is not self._output:
                return False
            self._output.seek(0)
            self._output.truncate()
        except (ValueError, BufferError):  # detached, closed, or a view of it is left
            return False
        self._no_input = _NoInput()
        self._namespace.update(_FIRST_NAMES)
        return True

    def set(self, path: bytes, environment: dict[bytes, bytes], body: bytes) -> None:
        """Put everything in its place for the script `path` and a request's body."""
        self._before = sys.stdin, sys.stdout, sys.stderr, sys.argv
        self._environment_before = _environ._data
        file = _files[path]
        self._imports.begin(file.rpartition("/")[0])
        self._namespace["__file__"] = file
        sys.modules["__main__"] = self._main
        sys.argv = [file]
        sys.stdin = _input(body) if body else self._no_input
        sys.stdout = self._stdout
        _environ._data = _environb._data = environment

    def supply(self, environment: dict[bytes, bytes], body: bytes) -> None:
        """Put another environment and body in the place of those that it was set with."""
        if body:
            sys.stdin = _input(body)
        _environ._data = _environb._data = environment

    def perform(self, code: CodeType) -> bytes:
        """Run a script's code and return what it printed. Raises ScriptFailed, ScriptTimeout.

        What the script leaves behind is finalised while its credentials still hold.
        """
        _fork_watch.seen = False
        try:
            try:
                if self._ends_process:
                    self._run_to_the_end(code)
                else:
                    _execute(code, self._namespace)
            finally:
                self._namespace.clear()
                self._imports.forget()
            return self._printed()
        finally:
            if _fork_watch.seen:
                os._exit(0)  # a child that the script forked ends where the script does

    def _printed(self) -> bytes:
        try:
            _flush(self._stdout)
            return self._output.getvalue()
        except (ValueError, BufferError) as error:  # closed below; a view of it is left
            raise ScriptFailed(f"the script's output cannot be read: {error}") from None

    def _run_to_the_end(self, code: CodeType) -> None:
        """Run the script in a process that ends with it."""
        try:
            _execute(code, self._namespace)
        except ScriptFailed:
            if not _fork_watch.seen:
                _tidy_up()
            raise
        if not _fork_watch.seen:
            _tidy_up()

    def strike(self) -> None:
        """Put the server's own streams, environment and import path back."""
        self._imports.end()
        _environ._data = _environb._data = self._environment_before
        sys.stdin, sys.stdout, log, sys.argv = self._before
        sys.stderr = log if _flush(log) else _reopened_log()


def _input(body: bytes) -> TextIO:
    return io.TextIOWrapper(io.BytesIO(body), _ENCODING, _ERRORS, newline="\n")


def open_script(path: bytes) -> int:
    """Return a descriptor of a script, opened with the credentials of the moment.

    A symbolic link is refused with ELOOP: www could follow it where the tenant who made it cannot.
    """
    return os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)


def state_of(descriptor: int) -> FileState:
    """Return what is equal as long as nobody changes an open script, or who may read it."""
    return _state(os.fstat(descriptor))


def state_at(path: bytes) -> FileState | None:
    """Return what `state_of` would for the file `path`; None where it cannot be looked at."""
    try:
        return _state(os.lstat(path))
    except OSError:
        return None


def _state(status: os.stat_result) -> FileState:
    """Return device, inode, size and time of change (ns; inode(7)).

    Writing changes the time, as do chmod, chown, setfacl and rename; who may write to a file can
    set st_mtime as he likes, but not this one.
    """
    return status.st_dev, status.st_ino, status.st_size, status.st_ctime_ns


def read_whole(descriptor: int, most: int) -> bytes:
    """Return what an open file holds, or a beginning of `most` bytes or little more."""
    parts = []
    while most > 0 and (part := os.read(descriptor, _CHUNK)):
        parts.append(part)
        most -= len(part)
    return b"".join(parts)


def compile_script(descriptor: int, path: bytes) -> CodeType:
    """Compile an open script. Raises ScriptFailed."""
    try:
        source = read_whole(descriptor, _LARGEST_SCRIPT + 1)
        if len(source) > _LARGEST_SCRIPT:
            raise ScriptFailed(f"the script has more than {_LARGEST_SCRIPT} bytes")
        return compile(source, path, "exec", dont_inherit=True)
    except (SyntaxError, ValueError):
        raise _reported() from None


def _flush(stream: TextIO) -> bool:
    """Write out what `stream` still holds; return False when a script has closed or detached it."""
    try:
        stream.flush()
    except ValueError:
        return False
    except OSError:
        return True  # the descriptor below it is closed: nothing can be written any more
    return True


def _reopened_log() -> TextIO:
    return open(2, "w", buffering=1, errors="backslashreplace", closefd=False)


def _execute(code: CodeType, namespace: dict[str, object]) -> None:
    """Run the script."""
    try:
        exec(code, namespace)
    except SystemExit as end:
        # As the interpreter does at its own end: a text goes to stderr; a number is the exit
        # status, which a CGI server does not look at.
        if end.code is not None and not isinstance(end.code, int):
            _say_last_words(end.code)
    except (ScriptFailed, ScriptTimeout):
        raise
    except BaseException:
        raise _reported() from None


def _tidy_up() -> None:
    """Call exit handlers, as an interpreter does that ends; who has some has loaded the module.

    Threads are not waited for: the client is to have its answer.
    """
    atexit: Any = sys.modules.get("atexit")
    if atexit is not None:
        atexit._run_exitfuncs()


def _say_last_words(words: object) -> None:
    try:
        print(words, file=sys.stderr)
    except (ScriptFailed, ScriptTimeout):
        raise
    except BaseException:  # the script closed its stderr, or the words cannot be printed
        raise _reported() from None


def _reported() -> ScriptFailed:
    """Write the current exception to the log, as the interpreter would, and return the failure.

    sys.__excepthook__ prints without importing the traceback module, which a worker that has
    become a tenant might not be able to read.
    """
    kind, error, trace = sys.exc_info()
    if kind is not None and error is not None:
        sys.__excepthook__(kind, error, trace)
    return ScriptFailed(f"the script raised {kind.__name__ if kind else 'an exception'}")
