"""A child that puts on all walls of `sandbox`, ends at once and is reaped."""

from __future__ import annotations

from servers.http import Request
from servers.interpreter import frozen_heap
from servers.interpreter.embedded import Embedded, server_environment
from servers.interpreter.forked import ForkedScripts
from servers.mechanisms import fork
from servers.mode import Setting
from servers.modes.sandbox.walls import LAYERS, Walls, resource_limits


class Mode(fork.Mode):
    """As `fork`, with a child behind walls."""

    layers = frozenset(LAYERS)

    def __init__(self, setting: Setting) -> None:
        super().__init__(setting)
        self._walls = Walls(setting, self.layers, resource_limits(setting.limits.script))

    def check_host(self) -> None:
        """All layers must be possible."""
        self._walls.check_host(lambda _: "--no-mechanisms")

    def master_init(self) -> None:
        """Decide who exists for the workers, and compile the filter, once for all."""
        self._walls.prepare()

    def child_init(self) -> None:
        """Become www with four capabilities of a user namespace, in a root directory of its own."""
        limits = self.setting.limits
        self._interpreter = Embedded(limits.output, self.setting.code_cache)
        self._environment = server_environment()
        self._scripts = ForkedScripts(limits.output, self.setting.code_cache)
        self._scripts.rehearse()
        self._walls.enter()
        frozen_heap.freeze()

    def fork(self) -> int:
        """Make the child, in new namespaces."""
        return self._walls.make_child()

    def in_child(self, request: Request) -> None:
        """Put on the walls, and become the owner."""
        self._walls.wall_in(request.script.site)
