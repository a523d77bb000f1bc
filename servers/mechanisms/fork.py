"""A child that is forked, ends at once and is reaped.

The worker is prepared as those of modes that fork for each request, so that the fork copies what
their forks copy (`servers.interpreter.pinned_pages`).
"""

from __future__ import annotations

import os

from servers.http import Request, Response
from servers.interpreter import frozen_heap
from servers.interpreter.forked import ForkedScripts
from servers.kernel.reaping import await_end
from servers.modes import dso


class Mode(dso.Mode):
    """Runs the script here, and forks a child for nothing."""

    def child_init(self) -> None:
        """Prepare for children, then become www for good."""
        self._scripts = ForkedScripts(self.setting.limits.output, self.setting.code_cache)
        self._scripts.rehearse()
        super().child_init()
        frozen_heap.freeze()

    def handle(self, request: Request) -> Response:
        """Run the script, and a child."""
        response = super().handle(request)
        child = self.fork()
        if child == 0:
            try:
                self.in_child(request)
            finally:
                os._exit(0)
        await_end(child)
        return response

    def fork(self) -> int:
        """Make the child."""
        return os.fork()

    def in_child(self, request: Request) -> None:
        """Do nothing."""
