"""A tenant's script as a CGI program (RFC 3875): its environment, its output, and running it here.

`Embedded` is the counterpart of mod_php and of ModPerl::PerlRun: it runs the same file that an
exec'd interpreter would run, inside this process, with the standard streams and the environment
replaced.
"""

from __future__ import annotations

import builtins
import io
import os
import re
import sys
from functools import lru_cache
from types import CodeType, ModuleType
from typing import Any, Final, TextIO, cast

from servers.http import Headers, Request, Response

_BLANK_LINE: Final = re.compile(rb"\r?\n\r?\n")
_TOKEN: Final = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_LONGEST_CACHED_HEAD: Final = 512
MOST_CACHED_SCRIPTS: Final = 4096

FileState = tuple[int, int, int, int]

# os.environ and os.environb are views of one dictionary of bytes. Replacing that is far cheaper
# than a putenv for each variable, and modules that did `from os import environ` see it as well.
_environ = cast(Any, os.environ)
_environb = cast(Any, os.environb)


class ScriptFailed(Exception):
    """The script is to blame: the client gets a 500, the reason goes to the log."""


class ScriptTimeout(BaseException):
    """The script has had its time. Raised in the worker while it handles a request.

    Not an Exception, so that a script's own `except Exception` lets it pass.
    """


class OutputTooLarge(ScriptFailed):
    """The script printed more than the server is willing to hold."""


def server_environment() -> dict[bytes, bytes]:
    """Return the CGI variables that are the same for each request."""
    return {
        b"GATEWAY_INTERFACE": b"CGI/1.1",
        b"SERVER_SOFTWARE": b"isobench",
        b"PATH": b"/usr/local/bin:/usr/bin:/bin",
    }


def environment_of(request: Request, server: dict[bytes, bytes]) -> dict[bytes, bytes]:
    """Return the CGI environment of a request (RFC 3875, section 4.1).

    `server` holds the variables that are the same for each request. Nothing else of the server's
    own environment is passed on.
    """
    _, _, query = request.target.partition(b"?")
    remote, port = request.remote
    environment = {
        **server,
        **request.script.environment,
        b"REQUEST_METHOD": request.method,
        b"REQUEST_URI": request.target,
        b"QUERY_STRING": query,
        b"SERVER_PORT": b"%d" % request.port,
        b"SERVER_PROTOCOL": b"HTTP/1.1" if request.version == "1.1" else b"HTTP/1.0",
        b"REMOTE_ADDR": remote.encode(),
        b"REMOTE_PORT": b"%d" % port,
    }
    for name, value in request.headers:
        variable = _variable(name)
        if variable is not None:
            if variable in environment:  # RFC 3875, section 4.1.18: one variable for all of them
                value = environment[variable] + b", " + value
            environment[variable] = value
    if request.body:
        environment[b"CONTENT_LENGTH"] = b"%d" % len(request.body)
    return environment


@lru_cache(maxsize=256)
def _variable(header: bytes) -> bytes | None:
    """Return the variable that carries a request header, or None where none may.

    A header with an underscore would be mistaken for its twin with a hyphen, and HTTP_PROXY is
    what many programs take for their proxy's address (CVE-2016-5385, "httpoxy").
    """
    name = header.upper().replace(b"-", b"_")
    if b"_" in header or name in (b"PROXY", b"CONTENT_LENGTH", b"AUTHORIZATION"):
        return None
    return name if name == b"CONTENT_TYPE" else b"HTTP_" + name


def parse_output(output: bytes) -> Response:
    """Split what a script printed into status, headers and body (RFC 3875, section 6).

    Raises ScriptFailed when it is no CGI response.
    """
    blank = _BLANK_LINE.search(output)
    if blank is None:
        raise ScriptFailed("the script ended without printing a complete header")
    head, body = output[: blank.start()], output[blank.end() :]
    parse = _parse_head if len(head) <= _LONGEST_CACHED_HEAD else _parse_head.__wrapped__
    status, headers = parse(head)
    return Response(status, headers, body)


@lru_cache(maxsize=256)
def _parse_head(head: bytes) -> tuple[int, Headers]:
    status = None
    headers = []
    names = set()
    for line in head.split(b"\n"):
        name, colon, value = line.rstrip(b"\r").partition(b":")
        if not colon or not _TOKEN.fullmatch(name) or b"\r" in value or b"\0" in value:
            raise ScriptFailed(f"malformed header from the script: {line[:100]!r}")
        value = value.strip(b" \t")
        lowered = name.lower()
        names.add(lowered)
        if lowered == b"status":
            status = _parse_status(value)
        else:
            headers.append((name, value))
    if not names & {b"content-type", b"location"}:
        raise ScriptFailed("the script's header has neither Content-Type nor Location")
    if status is None:
        status = 302 if b"location" in names else 200
    return status, tuple(headers)


def _parse_status(value: bytes) -> int:
    code = value[:3]
    if not code.isdigit() or not 200 <= int(code) <= 599 or value[3:4] not in (b"", b" "):
        raise ScriptFailed(f"malformed Status from the script: {value[:100]!r}")
    return int(code)


class _Output(io.BytesIO):
    """A script's standard output: bounded, and readable even after the script closed it."""

    def __init__(self, limit: int) -> None:
        super().__init__()
        self._limit = limit

    def write(self, data: Any) -> int:
        if self.tell() + len(data) > self._limit:
            raise OutputTooLarge(f"the script printed more than {self._limit} bytes")
        return super().write(data)

    def close(self) -> None:
        """Ignore a script's close: the server has yet to read."""


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

    @property
    def buffer(self) -> io.BytesIO:
        """The bytes below the text: none."""
        return io.BytesIO()


class Stage:
    """What a script finds around it: the standard streams, the environment, `__main__`.

    Set on creation, used by one `perform`, struck by `strike`, in the same process or, of the last
    two, each in one of two: a forked child performs while its parent strikes.
    """

    def __init__(self, request: Request, environment: dict[bytes, bytes], limit: int) -> None:
        self._before = sys.stdin, sys.stdout, sys.stderr, sys.argv
        self._output = _Output(limit)
        main = ModuleType("__main__")
        file = os.fsdecode(request.script.path)
        self._namespace = main.__dict__
        self._namespace.update(__file__=file, __builtins__=builtins)
        sys.modules["__main__"] = main
        sys.argv = [file]
        body = request.body
        sys.stdin = io.TextIOWrapper(io.BytesIO(body), "utf-8") if body else _NoInput()
        sys.stdout = self._stdout = io.TextIOWrapper(self._output, "utf-8", newline="\n")
        _environ._data = _environb._data = environment

    def perform(self, code: CodeType) -> bytes:
        """Run a script's code and return what it printed. Raises ScriptFailed, ScriptTimeout."""
        _fork_watch.seen = False
        try:
            _execute(code, self._namespace)
            _flush(self._stdout)
        finally:
            if _fork_watch.seen:
                os._exit(0)  # a child that the script forked ends where the script does
        return self._output.getvalue()

    def strike(self) -> None:
        """Put the server's own streams back."""
        sys.stdin, sys.stdout, log, sys.argv = self._before
        sys.stderr = log if _flush(log) else _reopened_log()


class Embedded:
    """The embedded interpreter. One a worker; runs one script at a time.

    The script's file is opened on each request with the credentials of that moment, so that the
    kernel checks the permission. Its compiled code is reused while the file stays the same file
    with the same content, as far as stat(2) can tell.
    """

    def __init__(self, output_limit: int, code_cache: bool = True) -> None:
        self._output_limit = output_limit
        self._code_cache = code_cache
        self._codes: dict[tuple[bytes, FileState], CodeType] = {}

    def run(self, request: Request, environment: dict[bytes, bytes]) -> Response:
        """Run the request's script as `__main__` and return what it answered.

        Raises OSError when the script cannot be opened, ScriptFailed when it raised an exception
        or printed no CGI response.
        """
        code = self._code_of(request.script.path)
        os.chdir(request.script.site.root)
        stage = Stage(request, environment, self._output_limit)
        try:
            return parse_output(stage.perform(code))
        finally:
            stage.strike()

    def _code_of(self, path: bytes) -> CodeType:
        descriptor = open_script(path)
        try:
            key = (path, state_of(descriptor))
            code = self._codes.get(key)
            if code is None:
                code = compile_script(descriptor, path)
                if self._code_cache:
                    self._remember(key, code)
            return code
        finally:
            os.close(descriptor)

    def _remember(self, key: tuple[bytes, FileState], code: CodeType) -> None:
        if len(self._codes) >= MOST_CACHED_SCRIPTS:
            self._codes.clear()
        self._codes[key] = code


def open_script(path: bytes) -> int:
    """Return a descriptor of a script, opened with the credentials of the moment.

    A symbolic link is refused with ELOOP: www could follow it where the tenant who made it cannot.
    """
    return os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)


def state_of(descriptor: int) -> FileState:
    """Return device, inode, size and time of change (ns): equal for an unchanged file."""
    status = os.fstat(descriptor)
    return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns


def compile_script(descriptor: int, path: bytes) -> CodeType:
    """Compile an open script. Raises ScriptFailed."""
    try:
        with open(descriptor, "rb", closefd=False) as file:
            return compile(file.read(), path, "exec", dont_inherit=True)
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
    """Run the script, and finalise what it leaves behind while its credentials still hold."""
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
    finally:
        namespace.clear()


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
