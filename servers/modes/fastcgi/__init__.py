"""`fastcgi`: each tenant has workers of its own, which stay that tenant from request to request.

The workers of the pool, here called fronts, are www and never run a script. They parse, find the
script, get a worker of its owner from the `starter`, and pass the request on to it.
"""

from __future__ import annotations

import contextlib
import os
import signal
import socket
from types import FrameType
from typing import Final

from servers import host_checks
from servers.front.starter import Gone, Starter, tell
from servers.http import Request, Response
from servers.interpreter.child import REFUSED
from servers.interpreter.embedded import (
    ScriptFailed,
    environment_of,
    parse_output,
    server_environment,
)
from servers.kernel import syscalls
from servers.kernel.credentials import Identity, drop_for_good
from servers.mode import IsolationMode, RunsAs
from servers.modes.fastcgi.starter import (
    ANSWER,
    ASK,
    ASKING,
    DISCARDING,
    GIVING_BACK,
    RECALL,
    Allowance,
    FastcgiService,
)
from servers.modes.fastcgi.tenant_worker import NotServed, ask
from servers.sites import Site

TYPE_CHECKING = False  # what mypy believes to be true, as that of `typing`
if TYPE_CHECKING:
    from servers.profiling.timelines import Timeline

_MOST_ATTEMPTS: Final = 3


class Mode(IsolationMode):
    """Passes the request to a worker that is the owner for good, and is kept for the next one."""

    precedent = "mod_fcgid, php-fpm, LSAPI, peruser"
    runs_as = RunsAs.OWNER
    recipe = ()
    options = {  # noqa: RUF012 - read-only, see IsolationMode
        "bound": ("64", "1", "2", "4", "16", "256"),
        "per_tenant": ("8", "1", "2", "4"),
        "idle": ("60", "1", "600"),
    }

    _starter: Starter

    @classmethod
    def timeline(cls) -> Timeline:
        """Say which phases a request has here."""
        from servers.profiling.timelines import BACK, EMBEDDED, FRONT, ProbePoint, Step, Timeline

        return Timeline(
            (
                *FRONT,
                Step("get worker", "spawning"),
                Step("hand over", "taken"),
                *EMBEDDED,
                Step("answer", "answered"),
                *BACK,
            ),
            probes=(
                ProbePoint(f"{__name__}:ask", "spawning", "answered"),
                ProbePoint(f"{__name__}.tenant_worker:_answer", "taken"),
            ),
        )

    def check_host(self) -> None:
        """Changing identity takes root; the starter watches processes by their pidfds."""
        host_checks.other_identities(self.setting)
        host_checks.pidfds()

    def master_init(self) -> None:
        """Start the starter."""
        allowance = Allowance(
            bound=int(self.option("bound")),
            per_tenant=int(self.option("per_tenant")),
            idle_seconds=int(self.option("idle")),
        )
        self._starter = Starter(lambda door: FastcgiService(door, self.setting, allowance))

    def child_ended(self, process: int) -> None:
        """Without its starter the mode cannot serve."""
        self._starter.check_lives(process)

    def child_init(self) -> None:
        """Open a line to the starter, and become www for good."""
        self._environment = server_environment()
        self._workers = TenantWorkers(self._starter, self.setting.limits.output)
        drop_for_good(self.setting.www)
        # The change of identity has undone it (prctl(2)), and it will not change again.
        syscalls.prctl(syscalls.PR_SET_PDEATHSIG, signal.SIGKILL)

    def handle(self, request: Request) -> Response:
        """Have a worker of the owner run the script."""
        environment = environment_of(request, self._environment)
        return parse_output(self._workers.run(request.script.site, environment, request.body))

    def cleanup(self, request: Request) -> None:
        """Give the worker back if it is wanted elsewhere, or have it ended if it hangs."""
        self._workers.finish()


class TenantWorkers:
    """Runs scripts in tenants' workers, one at a time. In a front.

    The worker of the last request is kept for the next one, which saves two messages if that is for
    the same tenant, until it is recalled. A recall comes as a signal: whether in accept, in recv
    or in a request, there is always somebody to take it.
    """

    def __init__(self, starter: Starter, output_limit: int) -> None:
        self._output_limit = output_limit
        self._kept: dict[Identity, int] = {}  # whose the one worker is, and its channel
        self._number = 0
        self._busy = self._asking = self._unanswered = self._recalled = False
        signal.signal(RECALL, self._on_recall)
        self._line = starter.register()

    def run(self, site: Site, environment: dict[bytes, bytes], body: bytes) -> bytes:
        """Run a script and return what it printed. `finish` must follow, in any case.

        Raises what `Embedded.output_of` raises; ScriptFailed also when the worker ended without an
        answer.
        """
        self._busy = True
        for _ in range(_MOST_ATTEMPTS):
            channel = self._kept.get(site.owner)
            if channel is None:
                channel = self._get_worker(site)
            self._unanswered = True
            try:
                answer = ask(channel, environment, body, self._output_limit)
            except NotServed:  # it ended before, on its own account
                self._discard()
            else:
                self._unanswered = answer.kind == REFUSED  # it may be the worker's own fault
                self._rest()  # here already: the client may take its time to read the response
                return answer.output()
        raise ScriptFailed("its processes end before they are asked")

    def finish(self) -> None:
        """Let go of the worker, if it is recalled, or must not serve again."""
        if self._unanswered:
            self._discard()
        self._rest()

    def _rest(self) -> None:
        self._busy = False
        if self._asking or self._recalled:
            self._give_back()

    def _on_recall(self, _signal: int, _frame: FrameType | None) -> None:
        self._recalled = True
        if not self._busy:
            with contextlib.suppress(Gone):  # the next request finds out as well
                self._give_back()

    def _get_worker(self, site: Site) -> int:
        """Get a worker of the site's owner from the starter; wait for one if need be."""
        self._close_kept()
        self._recalled = False  # whatever is recalled from now on is what we ask for here
        self._asking = True
        self._number += 1
        tell(
            self._line, ASK.pack(ASKING, self._number, site.owner.uid) + site.name.encode("latin-1")
        )
        channel = self._kept[site.owner] = self._answer()
        self._asking = False
        return channel

    def _answer(self) -> int:
        while True:
            try:
                message, descriptors, _, _ = socket.recv_fds(self._line, ANSWER.size, 1)
            except ConnectionError:
                message = b""
            if not message:
                raise Gone
            number, error = ANSWER.unpack(message)
            if number != self._number:  # for a request whose time was up before
                for descriptor in descriptors:
                    os.close(descriptor)
            elif error:
                raise OSError(error, os.strerror(error))
            else:
                return descriptors[0]

    def _discard(self) -> None:
        """Have the starter end the worker."""
        self._close_kept()
        tell(self._line, DISCARDING)
        self._unanswered = False

    def _give_back(self) -> None:
        """Give back what we have or asked for. Doing so twice, amid itself even, does no harm."""
        self._close_kept()
        tell(self._line, GIVING_BACK)
        self._asking = self._recalled = False

    def _close_kept(self) -> None:
        with contextlib.suppress(KeyError):
            os.close(self._kept.popitem()[1])
