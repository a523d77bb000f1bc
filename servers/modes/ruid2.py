"""`ruid2`: a worker that keeps two capabilities, becomes the owner for a request, and goes back.

The capabilities stay in the permitted set while content runs: that is why the worker can be
reused, and the documented hole, since a hostile script can raise them as well as the server can.
"""

from __future__ import annotations

from servers import host_checks
from servers.http import Request, Response
from servers.interpreter.embedded import Embedded, environment_of, server_environment
from servers.kernel.credentials import Switch
from servers.mode import IsolationMode, RunsAs

TYPE_CHECKING = False  # what mypy believes to be true, as that of `typing`
if TYPE_CHECKING:
    from servers.profiling.timelines import Timeline


class Mode(IsolationMode):
    """Switches to the owner, runs the script here, switches back after the response was sent."""

    precedent = "Apache mod_ruid2 0.9.8"
    runs_as = RunsAs.OWNER
    recipe = ("identity",)

    @classmethod
    def timeline(cls) -> Timeline:
        """Say which phases a request has here."""
        from servers.profiling.timelines import SWITCH_BACK, SWITCH_PROBE, SWITCHING, Timeline

        return Timeline(SWITCHING, SWITCH_BACK, (SWITCH_PROBE,))

    def check_host(self) -> None:
        """Changing identity takes root at the start."""
        host_checks.other_identities(self.setting)

    def child_init(self) -> None:
        """Become www with CAP_SETUID and CAP_SETGID permitted, none effective."""
        self._interpreter = Embedded(self.setting.limits.output, self.setting.code_cache)
        self._environment = server_environment()
        self._switch = Switch(self.setting.www)

    def handle(self, request: Request) -> Response:
        """Become the owner and run the script; `cleanup` is what goes back."""
        self._switch.to(request.script.site.owner)
        return self._interpreter.run(request, environment_of(request, self._environment))

    def cleanup(self, request: Request) -> None:
        """Become www again."""
        self._switch.back()
