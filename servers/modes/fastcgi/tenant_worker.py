"""A tenant's worker: what it is told, what it answers, and how a front talks to it.

Both ways go frames, one at a time, over a Unix stream socket that has no name:

    kind (1 byte), length of the first part, length of the second (8 bytes each, little-endian),
    the first part, the second part

======  ================================================================  ====================
kind    first part                                                        second part
======  ================================================================  ====================
``Q``   the CGI environment, as `marshal` has a dictionary of bytes       the request's body
``A``   what the script printed                                           nothing
``F``   why the script failed, in words                                   nothing
``R``   why it could not be opened: the errno, little-endian              nothing
======  ================================================================  ====================

The worker does not get the client's connection, though it could write the answer there itself: a
copy that a script keeps would let it read the connection's next request and answer it, and that
one may be another tenant's. So its answer is output like that of a CGI program, and parsed with
the same distrust by a front that has no privilege either, as with mod_fcgid, php-fpm and LSAPI.
"""

from __future__ import annotations

import marshal
import os
import struct
import sys
from typing import Final, NamedTuple

from servers.http import Request
from servers.interpreter.child import (
    ANSWERED,
    FAILED,
    REFUSED,
    REHEARSALS,
    WARMUP_SCRIPT,
    message,
    refusal,
    write,
)
from servers.interpreter.embedded import Embedded, OutputTooLarge, ScriptFailed
from servers.kernel.reaping import reap_ended
from servers.sites import Script, Site

_HEAD: Final = struct.Struct("<cQQ")
_REQUEST: Final = b"Q"
_STANDARD_ERROR: Final = 2
_CHUNK: Final = 64 * 1024
_LONGEST_REASON: Final = 200


class NotServed(Exception):
    """The worker was gone before it had read the whole request: another may serve it."""


class _Ended(Exception):
    """The other side is gone, and nothing of a frame has come."""


class _TooLong(Exception):
    """A frame is longer than its reader allows."""


class _Malformed(Exception):
    """What came is not one frame."""


class Answer(NamedTuple):
    """What a worker answered, not to be trusted."""

    kind: bytes
    text: bytes

    def output(self) -> bytes:
        """Return what the script printed. Raises ScriptFailed, or OSError if it did not open."""
        if self.kind == ANSWERED:
            return self.text
        if self.kind == REFUSED:
            number = int.from_bytes(self.text[:2], "little")
            raise OSError(number, os.strerror(number))
        raise ScriptFailed(self.text[:_LONGEST_REASON].decode("utf-8", "replace"))


def ask(channel: int, environment: dict[bytes, bytes], body: bytes, output_limit: int) -> Answer:
    """Send a worker a request and return its answer. In the front.

    Raises NotServed, and ScriptFailed when the worker ended or answered nonsense; after both it is
    of no more use.
    """
    try:
        write(channel, message(_REQUEST, marshal.dumps(environment), body))
        kind, text, _ = _receive(channel, output_limit)
    except (BrokenPipeError, ConnectionResetError):
        # The kernel resets a connection whose reader has gone with something left to read.
        raise NotServed from None
    except _Ended:
        raise ScriptFailed("its process ended before it answered") from None
    except _TooLong:
        raise OutputTooLarge(f"the script printed more than {output_limit} bytes") from None
    except _Malformed:
        raise ScriptFailed("its process sent a malformed answer") from None
    return Answer(kind, text)


def serve(channel: int, interpreter: Embedded) -> None:
    """Answer requests until the other side is gone or has been silent for too long.

    In the worker, which has become the tenant. The socket's own time limit (SO_RCVTIMEO) says what
    is too long. A front whose request crosses that end finds it unread and asks another worker.

    A script that has closed a standard stream ends the worker as well: the next file to be opened
    would take its place, and get what is meant for the log.
    """
    sites: dict[bytes, Site] = {}
    while _lowest_free_descriptor(channel) > _STANDARD_ERROR:
        try:
            _, block, body = _receive(channel, sys.maxsize)
        except (_Ended, BlockingIOError, ConnectionResetError):
            return
        kind, text = _answer(marshal.loads(block), body, interpreter, sites)
        write(channel, message(kind, text))
        reap_ended()  # nobody else would, as long as this worker is kept


def rehearse(interpreter: Embedded) -> None:
    """Answer a request for nothing, until the interpreter has filled its caches."""
    here = os.getcwd()
    environment = {
        b"DOCUMENT_ROOT": os.path.dirname(WARMUP_SCRIPT),
        b"SCRIPT_FILENAME": WARMUP_SCRIPT,
        b"QUERY_STRING": b"rehearsal",
    }
    sites: dict[bytes, Site] = {}
    for _ in range(REHEARSALS):
        message(*_answer(dict(environment), b"", interpreter, sites))
    os.chdir(here)


def _lowest_free_descriptor(descriptor: int) -> int:
    number = os.dup(descriptor)
    os.close(number)
    return number


def _answer(
    environment: dict[bytes, bytes],
    body: bytes,
    interpreter: Embedded,
    sites: dict[bytes, Site],
) -> tuple[bytes, bytes]:
    try:
        root = environment[b"DOCUMENT_ROOT"]
        site = sites.get(root)
        if site is None:
            directory = os.fsdecode(root)
            site = sites[root] = Site(os.path.basename(directory), directory)
        request = Request()
        path = environment[b"SCRIPT_FILENAME"]
        request.script = Script(path, site, {}, path.rpartition(b"/")[0])
        request.body = body
        return ANSWERED, interpreter.output_of(request, environment)
    except ScriptFailed as error:
        return FAILED, str(error).encode()
    except OSError as error:
        return REFUSED, refusal(error)


def _receive(channel: int, limit: int) -> tuple[bytes, bytes, bytes]:
    """Read one frame whose parts have at most `limit` bytes together."""
    data = os.read(channel, _CHUNK)
    if not data:
        raise _Ended
    if len(data) < _HEAD.size:
        data += _read_exactly(channel, _HEAD.size - len(data))
    kind, first, second = _HEAD.unpack_from(data)
    if first + second > limit:
        raise _TooLong
    missing = _HEAD.size + first + second - len(data)
    if missing < 0:
        raise _Malformed
    if missing:
        data += _read_exactly(channel, missing)
    middle = _HEAD.size + first
    return kind, data[_HEAD.size : middle], data[middle:]


def _read_exactly(channel: int, length: int) -> bytes:
    content = bytearray(length)
    view = memoryview(content)
    while view:
        count = os.readv(channel, [view])
        if not count:
            raise _Malformed
        view = view[count:]
    return bytes(content)
