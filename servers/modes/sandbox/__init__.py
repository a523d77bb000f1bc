"""`sandbox`: harache's child, behind every wall that a current kernel can put around content.

A request's child starts in new mount, pid, ipc, uts and network namespaces, limits its resources,
becomes the owner for good, and enters a Landlock domain and a filter of system calls (`walls`).
Each layer can be left out (`sandbox:net=off`), so that its price and its use can be measured.
"""

from __future__ import annotations

from servers.http import Request, Response
from servers.interpreter import frozen_heap
from servers.interpreter.embedded import environment_of, server_environment
from servers.interpreter.forked import ForkedScripts
from servers.mode import IsolationMode, RunsAs, Setting
from servers.modes.sandbox.walls import LAYERS, Walls, resource_limits

TYPE_CHECKING = False  # what mypy believes to be true, as that of `typing`
if TYPE_CHECKING:
    from servers.profiling.timelines import Timeline


class Mode(IsolationMode):
    """Forks on each request into new namespaces; the child drops for good behind more walls."""

    precedent = "bubblewrap, systemd-nspawn"
    runs_as = RunsAs.OWNER
    recipe = ("fork", "child", "namespaces", "walls")
    ends_leftovers = True
    options = dict.fromkeys(LAYERS, ("on", "off"))

    @classmethod
    def timeline(cls) -> Timeline:
        """Say which phases a request has here."""
        from servers.profiling.timelines import (
            BACK,
            CHILD_ENDS,
            CHILD_PROBES,
            CREDENTIALS,
            EMBEDDED,
            FORK,
            FRONT,
            ProbePoint,
            Step,
            Timeline,
        )

        return Timeline(
            (
                *FRONT,
                *FORK,
                Step("outer walls", "walled"),
                CREDENTIALS,
                Step("inner walls", "confined"),
                *EMBEDDED,
                *CHILD_ENDS,
                *BACK,
            ),
            probes=(
                ProbePoint(f"{__name__}.walls:Walls.wall_in", "begun", "confined"),
                ProbePoint(f"{__name__}.walls:drop_for_good", "walled", "switched"),
                *CHILD_PROBES,
            ),
        )

    def __init__(self, setting: Setting) -> None:
        super().__init__(setting)
        layers = frozenset(layer for layer in LAYERS if self.option(layer) == "on")
        self._walls = Walls(setting, layers, resource_limits(setting.limits.script))

    def check_host(self) -> None:
        """All layers that are on must be possible."""
        self._walls.check_host(lambda layer: f"sandbox:{layer}=off")

    def master_init(self) -> None:
        """Decide who exists for the workers, and compile the filter, once for all."""
        self._walls.prepare()

    def child_init(self) -> None:
        """Become www with four capabilities of a user namespace, in a root directory of its own."""
        limits = self.setting.limits
        make_child = self._walls.make_child
        self._scripts = ForkedScripts(limits.output, self.setting.code_cache, make_child)
        self._scripts.rehearse()
        self._environment = server_environment()
        self._walls.enter()
        frozen_heap.freeze()

    def handle(self, request: Request) -> Response:
        """Fork into new namespaces; the child puts on the other layers and runs the script."""
        environment = environment_of(request, self._environment)
        site = request.script.site
        return self._scripts.run(request, environment, lambda: self._walls.wall_in(site))

    def cleanup(self, request: Request) -> None:
        """Kill the child, if its time ran out, and with it all that it started."""
        self._scripts.kill()
