"""A change of identity and back, as `ruid2` makes it. The script is run as www all the same."""

from __future__ import annotations

from servers.http import Request, Response
from servers.interpreter.embedded import Embedded, server_environment
from servers.kernel.credentials import Switch
from servers.modes import dso


class Mode(dso.Mode):
    """Becomes the owner and www again, then runs the script as www."""

    def child_init(self) -> None:
        """Become www with CAP_SETUID and CAP_SETGID permitted."""
        self._interpreter = Embedded(self.setting.limits.output, self.setting.code_cache)
        self._environment = server_environment()
        self._switch = Switch(self.setting.www)

    def handle(self, request: Request) -> Response:
        """Go there and back, and run the script."""
        self._switch.to(request.script.site.owner)
        self._switch.back()
        return super().handle(request)
