"""`groundhog`: as `router`, but a tenant's worker is put back after each request.

What the request has changed in the worker is undone: its memory, registers, descriptors, mappings,
children, timers, handlers. What cannot be undone ends the worker, and another takes its place.
"""

from __future__ import annotations

import resource

from servers import host_checks
from servers.http import Request
from servers.interpreter.embedded import environment_of, server_environment
from servers.kernel import seccomp
from servers.mode import Answered, RunsAs, Setting
from servers.modes import router
from servers.modes.groundhog import keeping, tracking
from servers.modes.groundhog.resting_worker import Performer, RestingWorker
from servers.modes.sandbox import allowed_calls
from servers.modes.sandbox.walls import LAYERS, Walls, resource_limits

TYPE_CHECKING = False  # what mypy believes to be true, as that of `typing`
if TYPE_CHECKING:
    from typing import Final

    from servers.profiling.timelines import Timeline

# What the keeper calls beyond what a script may: all of it about the worker, which is its child.
_KEEPERS_CALLS: Final = ("ptrace", "process_vm_readv", "process_vm_writev", "ioctl")


class Mode(router.Mode):
    """Routes each request to a permanent worker, and then restores the worker's earlier state."""

    precedent = "Groundhog (EuroSys 2023)"
    runs_as = RunsAs.OWNER
    options = {  # noqa: RUF012 - read-only, see IsolationMode
        **{name: values for name, values in router.Mode.options.items() if name != "walls"},
        "bound": ("256", "1", "2", "4", "16", "64", "1024"),  # each is three processes
    }

    # All that malloc(3) hands out lies below the break, and that stays: what the interpreter had
    # before a script, such as a table that grows, can be freed and put back. A mapping could not.
    variables = {  # noqa: RUF012 - read-only, see IsolationMode
        "MALLOC_MMAP_MAX_": "0",
        "MALLOC_TRIM_THRESHOLD_": str(1 << 40),
    }

    recipe = None  # of pages copied and faults, which no mechanism is
    kept_workers = ()  # each is three processes
    _performer: Performer

    @classmethod
    def timeline(cls) -> Timeline:
        """Say which phases a request has here: the router's, and two changes of process more."""
        from servers.profiling.timelines import ProbePoint, Step, Timeline

        routed = router.Mode.timeline()
        request: list[Step] = []
        for step in routed.request:
            if step.point == "taken":
                request.append(Step("hand over", "begun"))
                step = Step("wake worker", "taken")
            request.append(step)
            if step.point == "left":
                request.append(Step("fetch answer", "joined"))
        resting = f"{__name__}.resting_worker"
        return Timeline(
            tuple(request),
            (Step("restore", "cleaned"),),
            (
                *routed.probes,
                ProbePoint(f"{resting}:RestingWorker._answer", "begun", "sent"),
                ProbePoint(f"{resting}:RestingWorker._have_answered", end="joined"),
                ProbePoint(f"{resting}:RestingWorker._put_back", end="cleaned"),
            ),
        )

    def __init__(self, setting: Setting) -> None:
        super().__init__(setting)
        limits = resource_limits(setting.limits.script)
        del limits[resource.RLIMIT_CPU]
        # Its own filter comes later: the keeper, which has all other walls, cannot live with it.
        self._walls = Walls(setting, frozenset(LAYERS) - {"seccomp"}, limits)

    @property
    def _is_walled(self) -> bool:
        return True

    def check_host(self) -> None:
        """The kernel must tell which pages were written, and a C compiler be there."""
        host_checks.other_identities(self.setting)
        host_checks.pidfds()
        host_checks.c_compiler()
        self._check_front()
        tracking.check()
        seccomp.check_available()
        self._walls.check_host(lambda _: "router:walls=off")

    def master_init(self) -> None:
        """Compile the keeper, and start the starter."""
        self._environment = server_environment()
        self._printed = b""
        limits = self.setting.limits
        keeper = keeping.load(self.setting.private, self.setting.programs)
        performer = Performer(limits.output, keeper, self.setting.code_cache)
        confine = seccomp.Installation(allowed_calls.compiled(also=("vhangup",)))
        kept = seccomp.Installation(allowed_calls.compiled(also=_KEEPERS_CALLS))
        filters = kept, confine
        traits = self._is_compiled, self.journal >= 0
        worker = RestingWorker(self._run, limits, performer, keeper, filters, *traits)
        self._performer = performer
        self._start_starter(worker)
        self._prepare_front()

    def handle(self, request: Request) -> Answered:
        """Run the script. In a worker, which then tells its keeper what it printed."""
        environment = environment_of(request, self._environment)
        self._printed = self._performer.perform(request, environment)
        return Answered.KEEP
