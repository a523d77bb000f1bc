"""The lean process that the mode `zygote` forks for each script, and the talk with it.

It is a program of its own, started by execve, so nothing of the server is in its memory: no
request, no listening socket, no client's connection. It has loaded what scripts will import, and
it has run a rehearsal.

Its one parent is a *front*, a worker that is www for good. From that come messages over a Unix
socket that keeps them whole (SOCK_SEQPACKET), descriptor 3 here:

- ``R``, uid, gid (4 bytes each), with one descriptor: fork a child that becomes this tenant;
- ``E``: end the child, if there still is one, or else reap what scripts have made its children.

Each of them, and the front's end, is the end of the child before. Back goes one byte, when the
zygote is ready.

Rule: the zygote is root, so this is all that it reads. The descriptor is a *channel*, a stream
socket made for the request; the job comes through it, and the answer goes back. The child reads the
job, as the tenant. So a front that has been taken over can make the zygote fork tenants, and cannot
say anything else to it, and a script can say nothing to it at all.

Anything unexpected ends the zygote, and with it the front, which the master replaces.

Imports next to nothing, as `context`; hence `_socket`.
"""

from __future__ import annotations

import _socket
import marshal
import os
import sys

from servers.interpreter import frozen_heap, pinned_pages
from servers.interpreter.child import (
    LENGTH,
    REFUSED,
    Job,
    Rehearsal,
    message,
    receive,
    refusal,
    run_and_exit,
    write,
)
from servers.interpreter.context import Stage
from servers.kernel import keyring
from servers.kernel.all_ids import set_all_ids
from servers.kernel.reaping import await_end, kill, reap_ended

TYPE_CHECKING = False  # what mypy believes to be true, as that of `typing`
if TYPE_CHECKING:
    from typing import Final

CONTROL: Final = 3
RUN: Final = b"R"
END: Final = b"E"
READY: Final = b"."

_ID: Final = 4
_RUN_LENGTH: Final = len(RUN) + 2 * _ID
_NO_CHANGE: Final = 0xFFFFFFFF  # what -1 becomes on its way through setresuid(2)
_DESCRIPTOR: Final = 4
_ROOM: Final = _socket.CMSG_SPACE(_DESCRIPTOR)


class BadMessage(Exception):
    """What came is no message of a front."""


def main() -> None:
    """Be a zygote. The arguments: the most bytes that a script may print, modules to load."""
    limit, *modules = sys.argv[1:]
    os.environ.clear()
    for name in modules:
        __import__(name)
    stage = Stage(int(limit), ends_process=True)
    rehearsal = Rehearsal(lambda: set_all_ids(os.geteuid(), os.getegid()))
    rehearsal.until_warm()
    frozen_heap.freeze()
    pinned_pages.arrange(rehearsal.once)
    control = _socket.socket(fileno=CONTROL)
    control.send(READY)
    zygote = Zygote(control, stage)
    try:
        zygote.serve()
    finally:
        zygote.end_child()


class Zygote:
    """Forks children, one at a time, until the front is gone."""

    def __init__(self, control: _socket.socket, stage: Stage) -> None:
        self._control = control
        self._stage = stage
        self._child = 0

    def serve(self) -> None:
        """Obey the front. Raises BadMessage."""
        while True:
            text, ancillary, _, _ = self._control.recvmsg(
                _RUN_LENGTH + 1, _ROOM, _socket.MSG_CMSG_CLOEXEC
            )
            if (text, ancillary) == (END, []) and not self._child:
                reap_ended()
                continue
            self.end_child()
            if not text:
                return
            if (text, ancillary) != (END, []):
                self._start_child(*_parsed(text, ancillary))

    def end_child(self) -> None:
        """Kill the child, which may have come to its end by itself, and reap it."""
        if self._child:
            kill(self._child)
            await_end(self._child)
            self._child = 0

    def _start_child(self, uid: int, gid: int, channel: int) -> None:
        try:
            self._child = os.fork()
        except OSError as error:
            _refuse(channel, error)
        else:
            if self._child == 0:
                run_and_exit(
                    channel,
                    self._stage,
                    lambda: _become(uid, gid),
                    lambda: _receive_job(channel),
                )
        os.close(channel)


def _become(uid: int, gid: int) -> None:
    keyring.join_new()
    set_all_ids(uid, gid)


def run_message(uid: int, gid: int) -> bytes:
    """Return the message that asks for a child with these ids. For the front."""
    return RUN + uid.to_bytes(_ID, "little") + gid.to_bytes(_ID, "little")


def _parsed(text: bytes, ancillary: list[tuple[int, int, bytes]]) -> tuple[int, int, int]:
    """Return the uid, the gid and the descriptor that a message says. Raises BadMessage."""
    if len(text) != _RUN_LENGTH or text[:1] != RUN:
        raise BadMessage(f"{text[:1]!r}, {len(text)} bytes")
    uid = int.from_bytes(text[1 : 1 + _ID], "little")
    gid = int.from_bytes(text[1 + _ID :], "little")
    if not (0 < uid < _NO_CHANGE and 0 < gid < _NO_CHANGE):
        raise BadMessage(f"uid {uid}, gid {gid}: not a tenant's")
    parts = [(level, kind, len(content)) for level, kind, content in ancillary]
    if parts != [(_socket.SOL_SOCKET, _socket.SCM_RIGHTS, _DESCRIPTOR)]:
        raise BadMessage("not one descriptor")
    return uid, gid, int.from_bytes(ancillary[0][2], sys.byteorder)


def _refuse(channel: int, error: OSError) -> None:
    """Tell the front, in the child's place, that there is none."""
    try:
        write(channel, message(REFUSED, refusal(error)))
    except OSError:
        return  # the front has given up


def pack(job: Job) -> bytes:
    """Return a job as it is sent: a length, and that many bytes. For the front."""
    fields = job.path, job.directory, job.environment, job.body, job.compiled, job.keep_code
    content = marshal.dumps(fields)
    return len(content).to_bytes(LENGTH, "little") + content


def _receive_job(channel: int) -> Job:
    """Read a job. In the child, which is the tenant by now."""
    received = receive(channel, b"", LENGTH)
    end = LENGTH + int.from_bytes(received[:LENGTH], "little")
    return Job(*marshal.loads(receive(channel, received, end)[LENGTH:end]))
