"""`harache`: a root worker, confined by the kernel, forks a child a request that drops for good.

The original restricts its root server by a secure operating system (SELinux). Here the same end
is met by what every current kernel offers: a bounding set of three capabilities, locked
securebits, a Landlock domain, and no_new_privs, which the children inherit.
"""

from __future__ import annotations

import gc

from servers import host_checks
from servers.http import Request, Response
from servers.interpreter.embedded import environment_of, server_environment
from servers.interpreter.forked import ForkedScripts
from servers.kernel import keyring, syscalls
from servers.kernel.confinement import restrain
from servers.kernel.credentials import Identity, become
from servers.mode import IsolationMode, RunsAs

TYPE_CHECKING = False  # what mypy believes to be true, as that of `typing`
if TYPE_CHECKING:
    from servers.profiling.timelines import Timeline

_NEEDED = syscalls.capability_mask(syscalls.CAP_SETUID, syscalls.CAP_SETGID, syscalls.CAP_KILL)


class Mode(IsolationMode):
    """Forks on each request; the child becomes the owner, runs the script and ends."""

    precedent = "Harache (IPSJ Journal 46(12), 2005); Apache mpm-itk"
    runs_as = RunsAs.OWNER
    recipe = ("fork", "identity")

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

    def check_host(self) -> None:
        """Changing identity takes root."""
        host_checks.other_identities(self.setting)

    def child_init(self) -> None:
        """Stay root, but of all its power keep three capabilities and a few directories."""
        self._environment = server_environment()
        self._scripts = ForkedScripts(self.setting.limits.output, self.setting.code_cache)
        self._scripts.rehearse()
        restrain(self.setting.sites, _NEEDED)
        gc.freeze()

    def handle(self, request: Request) -> Response:
        """Fork; the child becomes the owner for good and runs the script."""
        environment = environment_of(request, self._environment)
        owner = request.script.site.owner
        return self._scripts.run(request, environment, lambda: _become(owner))

    def cleanup(self, request: Request) -> None:
        """Kill the child, if its time ran out."""
        self._scripts.kill()


def _become(owner: Identity) -> None:
    keyring.join_new()
    become(owner)
