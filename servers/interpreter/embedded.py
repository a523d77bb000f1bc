"""A tenant's script as a CGI program (RFC 3875): its environment, its output, and running it here.

`Embedded` is the counterpart of mod_php and of ModPerl::PerlRun: it runs the same file that an
exec'd interpreter would run, inside this process, with the standard streams and the environment
replaced.
"""

from __future__ import annotations

import os

from servers.http import Headers, Request, Response, has_no_content
from servers.http.chunked import TEXT, TOKEN
from servers.interpreter.context import (
    MOST_KEPT_CODE,
    FileState,
    OutputTooLarge,
    ScriptFailed,
    ScriptTimeout,
    Stage,
    compile_script,
    open_script,
    state_at,
    state_of,
)
from servers.remembered import Bounded, Remembered, size_of

TYPE_CHECKING = False  # what mypy believes to be true, as that of `typing`
if TYPE_CHECKING:
    from collections.abc import Callable
    from types import CodeType
    from typing import Final

    _Key = tuple[bytes, int, int, FileState]

__all__ = [
    "Embedded",
    "OutputTooLarge",
    "ScriptFailed",
    "ScriptTimeout",
    "environment_of",
    "forget_origin",
    "note_compiling",
    "on_compiling",
    "parse_output",
    "server_environment",
]

_DIGITS: Final = b"0123456789"
_MOST_DIGITS_OF_A_LENGTH: Final = 20
_ALPHANUMERIC: Final = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"
# What a script may say once (RFC 3875, section 6.3; RFC 9110, section 8.6).
_CGI_FIELDS: Final = frozenset([b"content-type", b"location", b"status"])
_SINGLE: Final = _CGI_FIELDS | {b"content-length"}
# What concerns the connection, not the script (RFC 3875, section 4.1.18; RFC 9110, section 7.6.1;
# RFC 9113, section 8.2.2), and what is not a script's to know or has a variable of its own.
_NOT_PASSED: Final = frozenset(
    [
        b"AUTHORIZATION",
        b"CONNECTION",
        b"HTTP2-SETTINGS",
        b"KEEP-ALIVE",
        b"PROXY",
        b"PROXY-AUTHORIZATION",
        b"PROXY-CONNECTION",
        b"TE",
        b"TRAILER",
        b"UPGRADE",
    ]
)
_LONGEST_CACHED_HEAD: Final = 512
# Apache bounds a script's header lines, nginx all of them (MAX_STRING_LEN, fastcgi_buffer_size).
_LONGEST_HEAD: Final = 1024 * 1024


def server_environment() -> dict[bytes, bytes]:
    """Return the CGI variables that are the same for each request, with room for the others.

    Those that each request has are there, empty, so that copies have no need to grow.
    """
    others = (
        b"DOCUMENT_ROOT", b"SCRIPT_FILENAME", b"SCRIPT_NAME", b"REQUEST_METHOD", b"REQUEST_URI",
        b"QUERY_STRING", b"SERVER_NAME", b"SERVER_PORT", b"SERVER_PROTOCOL", b"REMOTE_ADDR",
        b"REMOTE_PORT",
    )  # fmt: skip
    return {
        b"GATEWAY_INTERFACE": b"CGI/1.1",
        b"SERVER_SOFTWARE": b"isobench",
        b"PATH": b"/usr/local/bin:/usr/bin:/bin",
        **dict.fromkeys(others, b""),
    }


def environment_of(request: Request, server: dict[bytes, bytes]) -> dict[bytes, bytes]:
    """Return the CGI environment of a request (RFC 3875, section 4.1).

    `server` is what `server_environment` returns. Nothing else of the server's own environment is
    passed on.
    """
    remote, port = request.remote
    environment = server.copy()
    environment.update(request.script.environment)
    environment[b"REQUEST_METHOD"] = request.method
    environment[b"REQUEST_URI"] = request.target
    environment[b"QUERY_STRING"] = request.target.partition(b"?")[2]
    environment[b"SERVER_NAME"] = _server_names[request.host]
    environment[b"SERVER_PORT"] = b"%d" % request.port
    environment[b"SERVER_PROTOCOL"] = b"HTTP/1.1" if request.version == "1.1" else b"HTTP/1.0"
    environment[b"REMOTE_ADDR"] = remote.encode()
    environment[b"REMOTE_PORT"] = b"%d" % port
    for name, value in request.headers:
        variable = _variables[name]
        if variable is not None:
            if variable in environment:  # RFC 3875, section 4.1.18: one variable for all of them
                value = environment[variable] + _between(variable) + value
            environment[variable] = value
    # Only where there is a body, be it an empty one (section 4.1.2). It has been decoded (4.2).
    if request.body or b"CONTENT_LENGTH" in environment:
        environment[b"CONTENT_LENGTH"] = b"%d" % len(request.body)
    return environment


def _between(variable: bytes) -> bytes:
    """Return what joins two values of a header (RFC 9110, section 5.3; RFC 9113, 8.2.3)."""
    return b"; " if variable == b"HTTP_COOKIE" else b", "


def _server_name(host: bytes) -> bytes:
    """Return the host that a Host header names (RFC 3875, section 4.1.14).

    Without the port, in lower case, and without the dot that ends an absolute name, as Apache has
    it (fix_hostname in vhost.c). An IPv6 address keeps its brackets.
    """
    end = host.find(b"]") + 1 if host.startswith(b"[") else host.find(b":")
    name = host[:end] if end > 0 else host
    return name.lower().removesuffix(b".")


_server_names: Final = Remembered(_server_name)


def _variable(header: bytes) -> bytes | None:
    """Return the variable that carries a request header, or None where none may.

    A header with an underscore would be mistaken for its twin with a hyphen, so names with more
    than letters, digits and hyphens are left out, as Apache's are; and HTTP_PROXY is what many
    programs take for their proxy's address (CVE-2016-5385, "httpoxy"). A body in chunks has a
    length, too, once it has been decoded (RFC 3875, section 4.2).
    """
    upper = header.upper()
    if upper == b"TRANSFER-ENCODING":
        return b"CONTENT_LENGTH"
    name = upper.replace(b"-", b"")
    if name.strip(_ALPHANUMERIC) or upper in _NOT_PASSED:
        return None
    variable = upper.replace(b"-", b"_")
    own = variable in (b"CONTENT_TYPE", b"CONTENT_LENGTH")
    return variable if own else b"HTTP_" + variable


_variables: Final = Remembered(_variable)


def parse_output(output: bytes) -> Response:
    """Split what a script printed into status, headers and body (RFC 3875, section 6).

    Raises ScriptFailed when it is no CGI response.
    """
    head, body = _split(output)
    if len(head) > _LONGEST_HEAD:
        raise ScriptFailed(f"the script's header has more than {_LONGEST_HEAD} bytes")
    known = _heads[head] if len(head) <= _LONGEST_CACHED_HEAD else _parse_head(head)
    status, reason, headers, may_have_body = known
    if body and not may_have_body:
        raise ScriptFailed("the script printed a body without a Content-Type")
    return Response(status, headers, body, reason)


def _split(output: bytes) -> tuple[bytes, bytes]:
    """Split at the first empty line. Either of the two line ends may be CR LF or LF."""
    end, gap = output.find(b"\n\n"), 2
    # Not beyond the other kind's: what comes there may be a long body.
    other = output.find(b"\n\r\n", 0, end + 1 if end >= 0 else None)
    if other >= 0:
        end, gap = other, 3
    if end < 0:
        raise ScriptFailed("the script ended without printing a complete header")
    return output[:end].removesuffix(b"\r"), output[end + gap :]


def _parse_head(head: bytes) -> tuple[int, bytes, Headers, bool]:
    """Return status, reason phrase and headers, and whether a body may follow.

    A document has a type (RFC 3875, section 6.3.1). A redirect is served without, as elsewhere, and
    of a response that has no content it does not count what is printed there.
    """
    headers = []
    single: dict[bytes, bytes] = {}
    for line in head.split(b"\n"):
        name, value = _parse_line(line)
        lowered = name.lower()
        if lowered in _SINGLE:
            if lowered in single:
                raise ScriptFailed(f"the script's header has two fields {lowered.decode()}")
            single[lowered] = value
        if lowered != b"status":
            headers.append((name, value))
    if not single.keys() & _CGI_FIELDS:
        raise ScriptFailed("the script's header has neither Content-Type, Location nor Status")
    _check_single(single)
    status, reason = _parse_status(single)
    has_type = b"content-type" in single or b"location" in single
    return status, reason, tuple(headers), has_type or has_no_content(status)


_heads: Final = Remembered(_parse_head)


def _parse_line(line: bytes) -> tuple[bytes, bytes]:
    name, colon, value = line.removesuffix(b"\r").partition(b":")
    if not colon or not name or name.strip(TOKEN) or value.translate(None, TEXT):
        raise ScriptFailed(f"malformed header from the script: {line[:100]!r}")
    return name, value.strip(b" \t")


def _check_single(single: dict[bytes, bytes]) -> None:
    for name, value in single.items():
        if not value or (name == b"content-length" and not _is_length(value)):
            raise ScriptFailed(f"malformed {name.decode()} from the script: {value[:100]!r}")


def _is_length(value: bytes) -> bool:
    return not value.strip(_DIGITS) and len(value) <= _MOST_DIGITS_OF_A_LENGTH


def _parse_status(single: dict[bytes, bytes]) -> tuple[int, bytes]:
    """Return the status, and the reason phrase where the script gives one.

    A path in Location redirects the client, as lighttpd and Go's net/http/cgi do by default, and
    not the server: one request runs one script (RFC 3875, section 6.2.2, in docs/http.md).
    """
    value = single.get(b"status")
    if value is None:
        return (302 if b"location" in single else 200), b""
    code, _, reason = value.partition(b" ")
    if len(code) != 3 or code.strip(_DIGITS) or not 200 <= int(code) <= 599:
        raise ScriptFailed(f"malformed Status from the script: {value[:100]!r}")
    return int(code), reason.strip(b" \t")


def _tell_nobody() -> None:
    pass


_tell: Callable[[], object] = _tell_nobody
_told_in = 0


def on_compiling(tell: Callable[[], object]) -> None:
    """Have `tell` called in this process for each script that no cache had the code of.

    Not in those that it forks: `tell` may use memory that they do not have.
    """
    global _tell, _told_in
    _tell, _told_in = tell, os.getpid()


def note_compiling() -> None:
    """A script was compiled, here or in a child that handed its code back."""
    if os.getpid() == _told_in:
        _tell()


class Embedded:
    """The embedded interpreter. One a worker; runs one script at a time.

    A script's file is opened with the credentials of the moment, so that the kernel checks the
    permission. Its compiled code is used again, with the same credentials, while the kernel finds
    the same file at the path, and its content, owner and permissions unchanged (stat(2), which
    checks the way there).
    """

    def __init__(self, output_limit: int, code_cache: bool = True) -> None:
        self._output_limit = output_limit
        self._code_cache = code_cache
        self._codes: Bounded[_Key, CodeType] = Bounded(MOST_KEPT_CODE)
        self._stage: Stage | None = None
        self._went_well = False

    def run(self, request: Request, environment: dict[bytes, bytes]) -> Response:
        """Run the request's script as `__main__` and return what it answered.

        Raises OSError when the script cannot be opened, ScriptFailed when it raised an exception
        or printed no CGI response.
        """
        return parse_output(self.output_of(request, environment))

    def output_of(self, request: Request, environment: dict[bytes, bytes]) -> bytes:
        """Run the request's script as `__main__` and return what it printed. Raises as `run`."""
        code = self._code_of(request.script.path)
        os.chdir(request.script.directory)
        stage, self._stage = self._stage or Stage(self._output_limit), None
        stage.set(request.script.path, environment, request.body)
        self._went_well = False
        try:
            output = self.perform(stage, code, request)
        finally:
            stage.strike()
        self._went_well = True
        if stage.clear():
            self._stage = stage
        return output

    def perform(self, stage: Stage, code: CodeType, request: Request) -> bytes:
        """Run a script's code on its stage: what a mode overrides that guards just this step."""
        return stage.perform(code)

    def _code_of(self, path: bytes) -> CodeType:
        # Opening a file shows that this process still can: the last script may have prevented it.
        code = self._unchanged(path) if self._went_well else None
        if code is None:
            descriptor = open_script(path)
            try:
                code = self._code_in(descriptor, path)
            finally:
                os.close(descriptor)
        return code

    def _unchanged(self, path: bytes) -> CodeType | None:
        """Return the code of a script that was opened before, and would be the same again."""
        state = state_at(path)
        return None if state is None else self._codes.get(_key(path, state))

    def _code_in(self, descriptor: int, path: bytes) -> CodeType:
        if not self._code_cache:
            return self._compile(descriptor, path)
        state = state_of(descriptor)
        code = self._kept(path, state)
        if code is None:
            code = self._compile(descriptor, path)
            self._keep(path, state, code)
        return code

    def _compile(self, descriptor: int, path: bytes) -> CodeType:
        code = compile_script(descriptor, path)
        note_compiling()
        return code

    def _kept(self, path: bytes, state: FileState) -> CodeType | None:
        return self._codes.get(_key(path, state))

    def _keep(self, path: bytes, state: FileState, code: CodeType) -> None:
        key = _key(path, state)
        self._codes.keep(key, code, size_of(key) + size_of(code))


def _key(path: bytes, state: FileState) -> _Key:
    """Return what code is kept by: who may read a file is found out with these credentials."""
    return path, os.geteuid(), os.getegid(), state


def forget_origin(error: BaseException) -> None:
    """Let go of the frames that `error` came through, and of all that a script has left in them.

    For those who must have a script's objects finalised before they go on.
    """
    error.__traceback__ = error.__context__ = error.__cause__ = None
