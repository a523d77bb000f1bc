"""`process_security`: each request gets a thread, and just that thread becomes the owner for good.

The worker's main thread keeps CAP_SETUID and CAP_SETGID permitted, so that it can make the next
request's thread able to switch; content's own thread has no capability left. They share their
memory: that is the documented hole.
"""

from __future__ import annotations

# In the main thread, since `threading` takes the thread that first imports it for that, and a
# script's would be the wrong one (until Python 3.13).
import threading  # noqa: F401

from servers import host_checks
from servers.errors import Unavailable
from servers.front.workers.worker import CleanupFailed
from servers.http import Request, Response
from servers.interpreter.embedded import Embedded, environment_of, server_environment
from servers.kernel.all_ids import CredentialError
from servers.kernel.credentials import Identity, become_able_to_switch
from servers.mode import IsolationMode, RunsAs
from servers.modes.process_security import thread_identity
from servers.modes.process_security.content_thread import ContentThread

TYPE_CHECKING = False  # what mypy believes to be true, as that of `typing`
if TYPE_CHECKING:
    from servers.profiling.timelines import Timeline


class Mode(IsolationMode):
    """Starts a thread, which alone becomes the owner, drops all power, runs the script and ends."""

    precedent = "mod_process_security (Matsumoto, 2012), as its paper describes it"
    runs_as = RunsAs.OWNER
    recipe = ("thread", "identity")

    @classmethod
    def timeline(cls) -> Timeline:
        """Say which phases a request has here."""
        from servers.profiling.timelines import (
            BACK,
            CREDENTIALS,
            EMBEDDED,
            FRONT,
            ProbePoint,
            Step,
            Timeline,
        )

        return Timeline(
            (
                *FRONT,
                Step("thread start", "begun"),
                CREDENTIALS,
                *EMBEDDED,
                Step("thread end", "joined"),
                *BACK,
            ),
            probes=(
                ProbePoint(f"{__name__}:Mode.become", "begun", "switched"),
                ProbePoint(f"{__name__}.content_thread:ContentThread.run", end="joined"),
            ),
        )

    def check_host(self) -> None:
        """Threads must be able to differ in identity and in working directory."""
        host_checks.other_identities(self.setting)
        if not thread_identity.is_known():
            raise Unavailable(
                "the numbers of this architecture's system calls are not known here",
                "use a 64-bit Python on x86-64, ARM, RISC-V or LoongArch, "
                "or add them to servers/modes/process_security/thread_identity.py",
            )
        try:
            thread_identity.own_directory()
        except OSError as error:
            raise Unavailable(
                f"a thread cannot have its own working directory: {error}",
                "let the container's seccomp profile allow unshare",
            ) from error

    def child_init(self) -> None:
        """Become www with CAP_SETUID and CAP_SETGID permitted, none effective."""
        self._interpreter = Embedded(self.setting.limits.output, self.setting.code_cache)
        self._environment = server_environment()
        self._thread = ContentThread()
        self.prepare_change()
        become_able_to_switch(self.setting.www)

    def prepare_change(self) -> None:
        """Build what `become` needs. In each new worker."""
        self._identity = thread_identity.ThreadIdentity()

    def handle(self, request: Request) -> Response:
        """Run the script in a new thread, after that has become the owner."""
        environment = environment_of(request, self._environment)

        def in_thread() -> Response:
            try:
                self.become(request.script.site.owner)
            except OSError as error:
                raise CredentialError(f"this thread cannot become the owner: {error}") from error
            return self._interpreter.run(request, environment)

        return self._thread.run(in_thread)

    def become(self, owner: Identity) -> None:
        """Change the identity. In the request's thread."""
        self._identity.become(owner)

    def cleanup(self, request: Request) -> None:
        """End the worker whose script's thread did not end: that cannot be ended by itself."""
        if self._thread.is_alive():
            raise CleanupFailed("the script's thread goes on after its time")
