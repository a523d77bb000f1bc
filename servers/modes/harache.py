"""`harache`: a root worker, confined by the kernel, forks a child a request that drops for good.

The original restricts its root server by a secure operating system (SELinux). Here the same end
is met by what every current kernel offers: a bounding set of three capabilities, locked
securebits, a Landlock domain, and no_new_privs, which the children inherit.
"""

from __future__ import annotations

from servers import host_checks
from servers.http import Request, Response
from servers.interpreter import frozen_heap, pinned_pages
from servers.interpreter.embedded import environment_of, server_environment
from servers.interpreter.forked import ForkedScripts
from servers.kernel import keyring, syscalls
from servers.kernel.confinement import restrain
from servers.kernel.credentials import Identity, become, current
from servers.mode import Answered, IsolationMode, RunsAs, Setting

TYPE_CHECKING = False  # what mypy believes to be true, as that of `typing`
if TYPE_CHECKING:
    from servers.profiling.timelines import Timeline

_NEEDED = syscalls.capability_mask(syscalls.CAP_SETUID, syscalls.CAP_SETGID, syscalls.CAP_KILL)


class Mode(IsolationMode):
    """Forks on each request; the child becomes the owner, runs the script and ends.

    With `fork=connection` it forks on each connection, as mpm-itk does. The child becomes the owner
    of the first request's script, and runs scripts of this owner until the connection ends; at the
    first request for another's it closes the connection without an answer.
    """

    precedent = "Harache (IPSJ Journal 46(12), 2005); Apache mpm-itk"
    runs_as = RunsAs.OWNER
    recipe = ("fork", "child", "identity")
    options = {"fork": ("request", "connection")}  # noqa: RUF012 - read-only, see IsolationMode

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
            Timeline,
        )

        return Timeline(
            (*FRONT, *FORK, CREDENTIALS, *EMBEDDED, *CHILD_ENDS, *BACK),
            probes=(ProbePoint(f"{__name__}:become", "begun", "switched"), *CHILD_PROBES),
        )

    def __init__(self, setting: Setting) -> None:
        """Decide by the factor what forks."""
        super().__init__(setting)
        self._environment = server_environment()
        self._owner: Identity | None = None
        self._by_connection = self.option("fork") == "connection"
        if self._by_connection:
            # Not for those that fork for each request, whose children would have copies of it.
            from servers.front.workers.connection_worker import ConnectionWorker
            from servers.interpreter.code_files import EmbeddedForConnection

            self.pool_worker = ConnectionWorker
            self._interpreter = EmbeddedForConnection(setting)

    def check_host(self) -> None:
        """Changing identity takes root."""
        host_checks.other_identities(self.setting)
        if self._by_connection:
            host_checks.pidfds()

    def master_init(self) -> None:
        """Make room for the tenants' compiled code, if no worker keeps it."""
        if self._by_connection:
            self._interpreter.make_room()

    def rehearse(self, request: Request) -> None:
        """Run a script as a connection's child does."""
        if self._by_connection:
            self._rehearsal = request
            become(current())
            self._interpreter.run(request, environment_of(request, self._environment))

    def child_init(self) -> None:
        """Stay root, but of all its power keep three capabilities and a few directories."""
        if self._by_connection:
            pinned_pages.arrange(lambda: self.rehearse(self._rehearsal))
            restrain(self.setting.sites, _NEEDED, kept=self._interpreter.directory)
            frozen_heap.freeze()
            return
        self._scripts = ForkedScripts(self.setting.limits.output, self.setting.code_cache)
        self._scripts.rehearse()
        restrain(self.setting.sites, _NEEDED)
        frozen_heap.freeze()

    def handle(self, request: Request) -> Response | Answered:
        """Fork; the child becomes the owner for good and runs the script.

        In the child of a connection: become the owner at the first request, and run the script.
        """
        environment = environment_of(request, self._environment)
        owner = request.script.site.owner
        if self._by_connection:
            if self._owner is None:
                _become(owner)
                self._owner = owner
            if owner != self._owner:
                return Answered.CLOSE  # unanswered: the client asks again on another connection
            return self._interpreter.run(request, environment)
        return self._scripts.run(request, environment, lambda: _become(owner))

    def cleanup(self, request: Request) -> None:
        """Kill the child, if its time ran out."""
        if not self._by_connection:
            self._scripts.kill()


def _become(owner: Identity) -> None:
    keyring.join_new()
    become(owner)
