"""A script that runs in a forked child, as in `harache`, and still as www."""

from __future__ import annotations

from servers.http import Request, Response
from servers.interpreter.embedded import environment_of
from servers.mechanisms import fork


class Mode(fork.Mode):
    """Forks a child, which runs the script, without another identity."""

    def handle(self, request: Request) -> Response:
        """Have the script run by a child."""
        environment = environment_of(request, self._environment)
        return self._scripts.run(request, environment, _stay)

    def cleanup(self, request: Request) -> None:
        """Kill the child, if its time ran out."""
        self._scripts.kill()


def _stay() -> None:
    """Change nothing."""
