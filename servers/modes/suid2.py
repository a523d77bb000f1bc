"""`suid2`: a root worker becomes the owner for good, serves that one request, and ends.

Nothing has to be undone, so nothing has to be kept for undoing it; the price is a new worker for
each request, which the pool keeps ready.
"""

from __future__ import annotations

from servers import host_checks
from servers.http import Request, Response
from servers.interpreter.code_files import EmbeddedOnce
from servers.interpreter.embedded import environment_of, server_environment
from servers.kernel import keyring
from servers.kernel.credentials import become, current
from servers.mode import WORKER_START, IsolationMode, RunsAs, Setting

TYPE_CHECKING = False  # what mypy believes to be true, as that of `typing`
if TYPE_CHECKING:
    from servers.profiling.timelines import Timeline


class Mode(IsolationMode):
    """Becomes the owner for good, runs the script here, and lets a new worker take its place."""

    precedent = "Apache mod_suid2"
    runs_as = RunsAs.OWNER
    recipe = ("replacement", "identity")
    max_requests = 1
    options = WORKER_START

    @classmethod
    def timeline(cls) -> Timeline:
        """Say which phases a request has here."""
        from servers.profiling.timelines import (
            REPLACED,
            REPLACEMENT_PROBES,
            SWITCHING,
            ProbePoint,
            Timeline,
        )

        return Timeline(
            SWITCHING,
            REPLACED,
            (ProbePoint(f"{__name__}:become", end="switched"), *REPLACEMENT_PROBES),
        )

    def __init__(self, setting: Setting) -> None:
        """Make what each worker would make alike, for the forked ones to inherit."""
        super().__init__(setting)
        self._interpreter = EmbeddedOnce(setting)
        self._environment = server_environment()

    def check_host(self) -> None:
        """Changing identity takes root."""
        host_checks.other_identities(self.setting)

    def master_init(self) -> None:
        """Make room for the tenants' compiled code."""
        self._interpreter.make_room()

    def rehearse(self, request: Request) -> None:
        """Become who this already is, and run a script."""
        become(current())
        self._interpreter.run(request, environment_of(request, self._environment))

    def child_init(self) -> None:
        """Stay root."""
        keyring.join_new()

    def handle(self, request: Request) -> Response:
        """Become the owner and run the script."""
        become(request.script.site.owner)
        return self._interpreter.run(request, environment_of(request, self._environment))
