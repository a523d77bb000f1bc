"""`ruid2_drop`: as `ruid2`, but the two capabilities are given up before the script runs.

That closes the hole of `ruid2`, and the way back with it: the worker can only end, and the pool
replaces it. mod_ruid2 does so where MaxRequestsPerChild is 1.
"""

from __future__ import annotations

from servers import host_checks
from servers.http import Request, Response
from servers.interpreter.code_files import EmbeddedOnce
from servers.interpreter.embedded import environment_of, server_environment
from servers.kernel import keyring
from servers.kernel.credentials import Switch
from servers.mode import WORKER_START, IsolationMode, RunsAs, Setting

TYPE_CHECKING = False  # what mypy believes to be true, as that of `typing`
if TYPE_CHECKING:
    from servers.profiling.timelines import Timeline


class Mode(IsolationMode):
    """Switches to the owner for good, runs the script here; a new worker takes its place."""

    precedent = "Apache mod_ruid2 0.9.8 with MaxRequestsPerChild 1"
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
            (
                ProbePoint("servers.kernel.credentials:Switch.forbid_return", end="switched"),
                *REPLACEMENT_PROBES,
            ),
        )

    def __init__(self, setting: Setting) -> None:
        """Make what each worker would make alike, for the forked ones to inherit."""
        super().__init__(setting)
        self._interpreter = EmbeddedOnce(setting)
        self._environment = server_environment()

    def check_host(self) -> None:
        """Changing identity takes root at the start."""
        host_checks.other_identities(self.setting)

    def master_init(self) -> None:
        """Make room for the tenants' compiled code."""
        self._interpreter.make_room()

    def rehearse(self, request: Request) -> None:
        """Run a script, without the change of identity, which cannot be undone."""
        self._interpreter.run(request, environment_of(request, self._environment))

    def child_init(self) -> None:
        """Become www with CAP_SETUID and CAP_SETGID permitted, none effective."""
        keyring.join_new()
        self._switch = Switch(self.setting.www)

    def handle(self, request: Request) -> Response:
        """Become the owner, with no capability left, and run the script."""
        self._switch.to(request.script.site.owner)
        self._switch.forbid_return()
        return self._interpreter.run(request, environment_of(request, self._environment))
