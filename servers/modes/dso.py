"""`dso`: the interpreter is part of the server, as a dynamic shared object of Apache is.

No process is made and nothing is loaded on a request; every tenant's script runs as the server.
"""

from __future__ import annotations

from servers.http import Request, Response
from servers.interpreter.embedded import Embedded, environment_of, server_environment
from servers.kernel.credentials import drop_for_good
from servers.mode import IsolationMode, RunsAs

TYPE_CHECKING = False  # what mypy believes to be true, as that of `typing`
if TYPE_CHECKING:
    from servers.profiling.timelines import Timeline


class Mode(IsolationMode):
    """Runs the script in the worker's embedded interpreter, as www."""

    precedent = "Apache mod_php, mod_perl, mod_ruby, mod_mruby"
    runs_as = RunsAs.SERVER

    @classmethod
    def timeline(cls) -> Timeline:
        """Say which phases a request has here."""
        from servers.profiling.timelines import BACK, EMBEDDED, FRONT, Timeline

        return Timeline((*FRONT, *EMBEDDED, *BACK))

    def child_init(self) -> None:
        """Become www for good."""
        self._interpreter = Embedded(self.setting.limits.output, self.setting.code_cache)
        self._environment = server_environment()
        drop_for_good(self.setting.www)

    def handle(self, request: Request) -> Response:
        """Run the script here."""
        return self._interpreter.run(request, environment_of(request, self._environment))
