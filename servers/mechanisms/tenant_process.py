"""A script that runs in a permanent process of its tenant, as in `fastcgi`, and still as www.

Two messages, two hand-overs of the processor, and a process that finds little of its own in the
caches: since its last request others have run.
"""

from __future__ import annotations

import os
import socket

from servers.http import Request, Response
from servers.interpreter.embedded import environment_of, parse_output
from servers.kernel import detach
from servers.modes import dso
from servers.modes.fastcgi.tenant_worker import ask, rehearse, serve


class Mode(dso.Mode):
    """Hands each request to a process of its tenant, which the first request starts."""

    fixed_workers = 1  # so that a tenant has one process

    def child_init(self) -> None:
        """Become www for good."""
        super().child_init()
        rehearse(self._interpreter)
        self._processes: dict[str, socket.socket] = {}

    def handle(self, request: Request) -> Response:
        """Have the tenant's process run the script."""
        environment = environment_of(request, self._environment)
        process = self._processes.get(request.script.site.name) or self._start(request)
        limit = self.setting.limits.output
        return parse_output(ask(process.fileno(), environment, request.body, limit).output())

    def _start(self, request: Request) -> socket.socket:
        ours, theirs = socket.socketpair()
        kept = theirs.fileno()

        def serve_tenant() -> None:
            os.closerange(3, kept)
            os.closerange(kept + 1, 0xFFFF)
            serve(kept, self._interpreter)

        detach.fork(serve_tenant)
        theirs.close()
        self._processes[request.script.site.name] = ours
        return ours
