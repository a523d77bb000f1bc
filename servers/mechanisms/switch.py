"""A byte to another process, which sends it back: two hand-overs of the processor."""

from __future__ import annotations

import os

from servers.http import Request, Response
from servers.kernel import detach
from servers.modes import dso


class Mode(dso.Mode):
    """Runs the script here, and has a byte sent back."""

    def child_init(self) -> None:
        """Become www for good, and fork the other process."""
        super().child_init()
        incoming, self._send = os.pipe2(os.O_CLOEXEC)
        self._receive, outgoing = os.pipe2(os.O_CLOEXEC)

        def send_back() -> None:
            os.close(self._send)
            while byte := os.read(incoming, 1):
                os.write(outgoing, byte)

        detach.fork(send_back)
        os.close(incoming)
        os.close(outgoing)

    def handle(self, request: Request) -> Response:
        """Run the script, then send the byte and await it."""
        response = super().handle(request)
        os.write(self._send, b".")
        os.read(self._receive, 1)
        return response
