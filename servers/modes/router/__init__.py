"""`router`: a front without privilege passes each request to a permanent worker of its tenant.

One process, the front, has the listener and all connections, and runs no script. A tenant's worker
is the tenant for good, behind walls that it has put around itself once, before its first request.
A request is one message to it, its answer one message back.
"""

from __future__ import annotations

import errno
import sys

from servers import host_checks
from servers.errors import Unavailable
from servers.front.starters.front_starter import FrontStarter
from servers.front.starters.starter import Makings
from servers.http import Request
from servers.interpreter.embedded import Embedded, environment_of, server_environment
from servers.kernel import open_files, seccomp, syscalls
from servers.kernel.confinement import SYSTEM
from servers.kernel.credentials import drop_for_good
from servers.mode import Answered, IsolationMode, RunsAs, Setting
from servers.modes.router import compiled
from servers.modes.router.front import Front
from servers.modes.router.starter import DESCRIPTORS_OF_A_WORKER, RouterService
from servers.modes.router.tenant_worker import TenantWorker
from servers.modes.sandbox.walls import LAYERS, Walls, resource_limits

TYPE_CHECKING = False  # what mypy believes to be true, as that of `typing`
if TYPE_CHECKING:
    import resource
    import signal
    import socket
    from typing import ClassVar, Final

    from servers.profiling.timelines import Timeline
else:
    import _signal as signal
    import resource

_READ: Final = (
    syscalls.LANDLOCK_ACCESS_FS_EXECUTE
    | syscalls.LANDLOCK_ACCESS_FS_READ_FILE
    | syscalls.LANDLOCK_ACCESS_FS_READ_DIR
)
# What the front in Python makes, and the interpreter for it: no process, no connection of its own.
_CALLS: Final = """
    accept accept4 recvfrom recvmsg sendto sendmsg shutdown close getsockname
    epoll_wait epoll_pwait epoll_ctl read write writev pread64 lseek
    fcntl fstat newfstatat lstat statx memfd_create
    brk mmap munmap mremap mprotect madvise futex getrandom
    getpid gettid getrusage clock_gettime gettimeofday time
    rt_sigaction rt_sigprocmask rt_sigreturn sigaltstack restart_syscall exit exit_group
"""


class Mode(IsolationMode):
    """Routes each request as one message to a permanent, walled-in worker of its tenant."""

    precedent = "nginx Unit, LSAPI"
    runs_as = RunsAs.OWNER
    recipe: ClassVar[tuple[str, ...] | None] = ("tenant_process",)
    kept_workers: ClassVar[tuple[str, ...]] = ("router", "router:walls=off")
    ends_leftovers = True
    fixed_workers = 1
    options = {  # noqa: RUF012 - read-only, see IsolationMode
        "front": ("c", "python"),
        "walls": ("on", "off"),
        "bound": ("1024", "1", "2", "4", "16", "64", "256"),
        "per_tenant": ("4", "1", "2", "8"),
        "idle": ("60", "1", "600"),
    }

    line: socket.socket
    """The front's line to the starter."""
    program: int
    """A descriptor of the compiled front."""
    _starter: FrontStarter
    _confine_calls: seccomp.Installation | None

    @classmethod
    def timeline(cls) -> Timeline:
        """Say which phases a request has here."""
        from servers.profiling.timelines import BACK, EMBEDDED, ProbePoint, Step, Timeline

        front, clients = f"{__name__}.front", f"{__name__}.client_side"
        return Timeline(
            (
                Step("accept", "accepted"),
                Step("read head", "spawning"),
                Step("hand over", "taken"),
                Step("parse and locate", "located"),
                *EMBEDDED,
                Step("answer", "answered"),
                *BACK,
            ),
            probes=(
                ProbePoint(f"{clients}:Connection.__init__", "accepted"),
                ProbePoint(f"{front}:Front._hand_over", "spawning"),
                ProbePoint(f"{__name__}.tenant_worker:TenantWorker.answer", "taken"),
                ProbePoint(f"{front}:Front._pass_on", "answered"),
                ProbePoint(f"{clients}:render", end="rendered"),
            ),
        )

    def __init__(self, setting: Setting) -> None:
        super().__init__(setting)
        self.pool_worker = compiled.CompiledFront if self._is_compiled else Front
        # All but the time of the processor, which adds up over the requests of a worker.
        limits = resource_limits(setting.limits.script)
        del limits[resource.RLIMIT_CPU]
        self._walls = Walls(setting, frozenset(LAYERS), limits)

    @property
    def _is_compiled(self) -> bool:
        return self.option("front") == "c"

    @property
    def _is_walled(self) -> bool:
        return self.option("walls") == "on"

    def check_host(self) -> None:
        """Changing identity takes root, the starter pidfds, and the front perhaps a compiler."""
        host_checks.other_identities(self.setting)
        host_checks.pidfds()
        self._check_front()
        if self._is_walled:
            self._walls.check_host(lambda _: "router:walls=off")

    def _check_front(self) -> None:
        if self._is_compiled:
            compiled.check_host(self.setting.programs)

    def master_init(self) -> None:
        """Start the starter, and prepare what the front will be."""
        self._environment = server_environment()
        self._interpreter = Embedded(self.setting.limits.output, self.setting.code_cache)
        self._printed = b""
        worker = TenantWorker(self._run, self.setting.limits, is_judged=self._is_compiled)
        self._start_starter(worker)
        self._prepare_front()

    @property
    def bound(self) -> int:
        """How many workers there may be: as the factor says, if the limit of descriptors allows."""
        return open_files.affordable(int(self.option("bound")), DESCRIPTORS_OF_A_WORKER)

    def _start_starter(self, worker: TenantWorker) -> None:
        setting, most = self.setting, self.bound
        makings = self._walls.makings() if self._is_walled else Makings.unwalled(setting.sites)
        self._starter = FrontStarter(
            lambda door: RouterService(door, setting, worker, makings, most)
        )

    def _prepare_front(self) -> None:
        if self._is_compiled:
            self.program = compiled.program(self.setting.private, self.setting.programs)
        else:
            self._confine_calls = _filter_of_calls()

    def counts(self) -> dict[str, int]:
        """Return how many tenants' workers the starter has started, and told to end."""
        return self._starter.counts()

    def child_ended(self, process: int) -> None:
        """Without its starter the mode cannot serve."""
        self._starter.check_lives(process)

    def child_init(self) -> None:
        """Open a line to the starter, become www for good, and give up all else.

        The compiled front gives up files and system calls by itself, when it has begun.
        """
        self.line = self._starter.register()
        open_files.allow(self.bound, "one for each worker", "lower the bound")
        drop_for_good(self.setting.www)
        syscalls.prctl(syscalls.PR_SET_NO_NEW_PRIVS, 1)
        # The change of identity has undone it (prctl(2)), and it will not change again.
        syscalls.prctl(syscalls.PR_SET_PDEATHSIG, signal.SIGKILL)
        if not self._is_compiled:
            self._confine_files()

    def _confine_files(self) -> None:
        """Give up all files but libraries. In the front in Python."""
        files, ports, scoped = syscalls.landlock_accesses(syscalls.landlock_abi())
        if syscalls.landlock_abi():
            readable = [(path, _READ) for path in (*SYSTEM, sys.base_prefix)]
            syscalls.landlock_restrict(files, readable, ports, scoped)

    def confine_calls(self) -> None:
        """Give up all system calls but those of a front. In the front in Python, once prepared."""
        if self._confine_calls is not None:
            self._confine_calls()

    def _run(self, request: Request) -> bytes:
        self.handle(request)
        return self._printed

    def handle(self, request: Request) -> Answered:
        """Run the script. In a tenant's worker, which then sends what it printed to the front."""
        environment = environment_of(request, self._environment)
        self._printed = self._interpreter.output_of(request, environment)
        return Answered.KEEP


def _filter_of_calls() -> seccomp.Installation | None:
    """Return the filter for a front in Python; None where the host has no means for one."""
    try:
        seccomp.check_available()
    except Unavailable:
        return None
    rules = [seccomp.Rule(call, seccomp.ALLOW) for call in _CALLS.split()]
    return seccomp.Installation(
        seccomp.compile_filter(seccomp.refuse(errno.EPERM), rules, skip_unknown=True)
    )
