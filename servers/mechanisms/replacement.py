"""A worker that ends with its request and is replaced by a new one, as in `suid2`."""

from __future__ import annotations

from servers.http import Request
from servers.interpreter.code_files import EmbeddedOnce
from servers.interpreter.embedded import environment_of, server_environment
from servers.kernel.credentials import drop_for_good
from servers.mode import Setting
from servers.modes import dso


class Mode(dso.Mode):
    """Runs the script as www, in a worker that serves no other request."""

    max_requests = 1
    _interpreter: EmbeddedOnce

    def __init__(self, setting: Setting) -> None:
        """Make what each worker would make alike, for the forked ones to inherit."""
        super().__init__(setting)
        self._interpreter = EmbeddedOnce(setting)
        self._environment = server_environment()

    def master_init(self) -> None:
        """Make room for compiled code."""
        self._interpreter.make_room()

    def rehearse(self, request: Request) -> None:
        """Run a script."""
        self._interpreter.run(request, environment_of(request, self._environment))

    def child_init(self) -> None:
        """Become www for good."""
        drop_for_good(self.setting.www)
