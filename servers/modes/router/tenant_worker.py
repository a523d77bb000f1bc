"""A tenant's worker: takes a request from its channel, runs the script, answers, and once again.

It is the tenant for good. It has no socket of a client, nor the listener: what a script can reach
is the channel, through which nothing comes but requests for its own site.
"""

from __future__ import annotations

import errno
import os
import select

from servers.front.workers.replies import Unfit, respond
from servers.http import BadRequest, Request, RequestParser, Response, plain_response
from servers.interpreter.child import REHEARSALS, WARMUP_SCRIPT
from servers.kernel import syscalls
from servers.kernel.reaping import kill, reap_ended
from servers.mode import Answered, Limits
from servers.modes.router import messages
from servers.modes.router.framing import taken_apart
from servers.sites import Site

TYPE_CHECKING = False  # what mypy believes to be true, as that of `typing`
if TYPE_CHECKING:
    import socket
    from collections.abc import Callable
    from typing import Final

    Run = Callable[[Request], bytes]

_STANDARD_STREAMS: Final = (0, 1, 2)
# What says that there is no such script, whoever looks.
_OF_THE_FILE: Final = (errno.ENOENT, errno.ENOTDIR, errno.ELOOP)
# A request that the front has written anew has a few bytes more than what the client sent.
_ROOM_FOR_REWRITING: Final = 2
# With the headers that browsers send, whose variables are then known (servers/remembered.py).
_REHEARSAL: Final = messages.Asked(
    0,
    ("127.0.0.1", 0),
    0,
    b"GET /warmup_script.py?word HTTP/1.1\r\nHost: rehearsal\r\nConnection: keep-alive\r\n"
    b"User-Agent: rehearsal\r\nAccept: */*\r\nAccept-Encoding: gzip\r\nAccept-Language: en\r\n"
    b"Cookie: a=b\r\nReferer: http://rehearsal/\r\n\r\n",
)


class TenantWorker:
    """Answers requests for one site's scripts. `run` runs one, and returns what it printed."""

    def __init__(self, run: Run, limits: Limits, is_judged: bool = True) -> None:
        """`is_judged` says that the front has looked at every byte of what it passes on."""
        self._run = run
        self._limits = limits
        self._read = taken_apart if is_judged else self._parsed
        self._printed = b""
        self._fit = True

    def rehearse(self) -> None:
        """Answer a request for nothing, until the interpreter has filled its caches."""
        directory = os.path.dirname(os.fsdecode(WARMUP_SCRIPT))
        here = os.getcwd()
        site = Site("rehearsal", directory)
        for _ in range(REHEARSALS):
            self.answer(_REHEARSAL, site)
        os.chdir(here)
        self._fit = True

    def serve(self, channel: socket.socket, site: Site) -> None:
        """Answer requests until the other side is gone, or this process is of no more use.

        A script that has closed a standard stream ends it as well: the next file to be opened
        would take its place, and get what is meant for the log. So does a script that cannot be
        opened, since that may be the fault of this process, for which an earlier one can have seen.
        """
        adopts = os.getpid() == 1
        streams = select.poll()
        for stream in _STANDARD_STREAMS:
            streams.register(stream, 0)  # for POLLNVAL, which comes unasked
        while self._fit and not _has_closed_one(streams):
            asked = messages.take_request(channel)
            if asked is None:
                return
            messages.answer(channel, self.answer(asked, site))
            if syscalls.has_children():
                _end_leftovers(adopts)

    def answer(self, asked: messages.Asked, site: Site) -> messages.Answered:
        """Return the answer to a request, whatever comes of it."""
        try:
            request = self._read(asked.content)
        except BadRequest as error:
            refusal = plain_response(error.status, str(error))
            return messages.Answered(asked.number, False, printed(refusal))
        request.remote, request.port = asked.remote, asked.port
        try:
            response = respond(request, lambda request: self._locate_and_run(request, site))
        except Unfit:
            response = plain_response(503, "the server's process could not serve it")
        if isinstance(response, Response):
            content = printed(response)
        else:
            content, self._printed = self._printed, b""
        return messages.Answered(asked.number, request.keep_alive, content, not self._fit)

    def _parsed(self, content: bytes) -> Request:
        """Return a request of which the front knows no more than where it ends."""
        limits = self._limits
        parser = RequestParser(_ROOM_FOR_REWRITING * limits.head, limits.body)
        request = next(parser.feed(content), None)
        if request is None:
            raise BadRequest(400, "the request has no end")
        return request

    def _locate_and_run(self, request: Request, site: Site) -> Answered:
        request.script = site.script(request.target)
        try:
            self._printed = self._run(request)
        except OSError as error:
            self._fit = error.errno in _OF_THE_FILE
            raise
        return Answered.KEEP


def _end_leftovers(adopts: bool) -> None:
    """End what the script has left running, where that is known; reap what has ended.

    In a pid namespace of its own this process `adopts` all others, and may kill them at once.
    """
    if not adopts:
        reap_ended()  # nobody else would, as long as this worker is kept
        return
    try:
        while True:
            if not os.waitpid(-1, os.WNOHANG)[0]:  # there is one that has not ended
                kill(-1)
                os.waitpid(-1, 0)
    except ChildProcessError:
        return


def printed(response: Response) -> bytes:
    """Return a response as a CGI program prints it."""
    lines = [b"Status: %d\n" % response.status]
    lines += [b"%b: %b\n" % header for header in response.headers]
    return b"".join((*lines, b"\n", response.body))


def _has_closed_one(streams: select.poll) -> bool:
    """Return whether a script has closed a standard stream: one call for all three."""
    events = streams.poll(0)
    return bool(events) and any(event & select.POLLNVAL for _, event in events)
