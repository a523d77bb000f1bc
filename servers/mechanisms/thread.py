"""A thread that is started and joined, as `process_security` does."""

from __future__ import annotations

import threading  # noqa: F401 - as process_security loads it, which makes it as large

from servers.http import Request, Response
from servers.modes import dso
from servers.modes.process_security.content_thread import ContentThread


class Mode(dso.Mode):
    """Has a thread hand the response on, which the worker itself has made."""

    def child_init(self) -> None:
        """Become www for good."""
        super().child_init()
        self._thread = ContentThread()

    def handle(self, request: Request) -> Response:
        """Run the script, then a thread that does nothing."""
        response = super().handle(request)
        return self._thread.run(lambda: response)
