"""`process_security_shipped`: as the released module does it, the whole process becomes the owner.

The released module never made the system calls itself: it calls libc, which changes all threads.
Up to 2019 only the new thread got the owner's identity, because the main thread lacked the
effective capabilities and its failure went unnoticed; newer versions of glibc abort the process for
that. So release 1.2.0 raises them in the main thread, too, and changes back afterwards.
"""

from __future__ import annotations

import os
import time
from typing import Final

from servers import host_checks
from servers.http import Request, Response
from servers.kernel import syscalls
from servers.kernel.all_ids import CredentialError
from servers.kernel.credentials import RAISED, RESTING, Identity
from servers.modes import process_security

TYPE_CHECKING = False  # what mypy believes to be true, as that of `typing`
if TYPE_CHECKING:
    from servers.profiling.timelines import Timeline

_ENDING_SECONDS: Final = 0.05


class Mode(process_security.Mode):
    """Runs the script in a new thread; through libc the main thread becomes the owner too."""

    precedent = "mod_process_security 1.2.0"

    _is_home = True

    @classmethod
    def timeline(cls) -> Timeline:
        """Say which phases a request has here: one more than with `process_security`."""
        from servers.profiling.timelines import BACK, ProbePoint, Step, Timeline

        ours, _, (_, ended), _ = super().timeline()
        return Timeline(
            (*ours[: -len(BACK)], Step("switch back", "returned"), *BACK),
            probes=(
                ProbePoint(f"{__name__}:Mode.become", "begun", "switched"),
                ended,
                ProbePoint(f"{__name__}:Mode._go_back", end="returned"),
            ),
        )

    def check_host(self) -> None:
        """Changing identity takes root at the start."""
        host_checks.other_identities(self.setting)

    def prepare_change(self) -> None:
        """Build the calls that libcap makes for the original. In each new worker."""
        self._look = syscalls.CapabilityLook()
        self._permit = self._lower = syscalls.CapabilityChange(RESTING)
        self._raise = syscalls.CapabilityChange(RAISED)
        self._clear = syscalls.CapabilityChange(syscalls.Capabilities())

    def handle(self, request: Request) -> Response:
        """Run the script in a new thread, and change back when that has ended.

        The original makes the thread and then raises the main thread's capabilities, which has to
        happen before the thread's first change, or glibc aborts. Here it certainly does.
        """
        self._is_home = False
        self._look()
        self._raise()
        try:
            return super().handle(request)
        finally:
            if not self._thread.is_alive():
                self._go_back()

    def become(self, owner: Identity) -> None:
        """Change all threads, and give up this one's capabilities. In the request's thread."""
        self._permit()
        dumpable = syscalls.prctl(syscalls.PR_GET_DUMPABLE)
        self._look()
        self._raise()
        os.setgroups(())
        os.setgid(owner.gid)
        os.setuid(owner.uid)
        self._look()
        self._clear()
        if dumpable:
            syscalls.prctl(syscalls.PR_SET_DUMPABLE, 1)
        if (os.geteuid(), os.getegid(), os.getgroups()) != (owner.uid, owner.gid, []):
            raise CredentialError(f"this thread did not become {owner}")

    def _go_back(self) -> None:
        """Become www again; as in the original, not with its supplementary groups."""
        www = self.setting.www
        _let_threads_end()
        os.setuid(www.uid)
        os.setgid(www.gid)
        self._look()
        self._lower()
        if os.getresuid() != (www.uid,) * 3 or os.getresgid() != (www.gid,) * 3:
            raise CredentialError(f"the worker did not become {www} again")
        self._is_home = True

    def cleanup(self, request: Request) -> None:
        """Change back, where the end of the script's time came in between."""
        super().cleanup(request)
        if not self._is_home:
            self._go_back()


def _let_threads_end() -> None:
    """Wait a moment for the ends of threads that the script made.

    Until Python 3.13 joining a thread waits for its last statement, not for its end. If libc still
    finds it alive, without capabilities, its change fails where others succeed: libc aborts then.
    """
    until = time.monotonic() + _ENDING_SECONDS
    while os.stat("/proc/self/task").st_nlink > 2 + 1 and time.monotonic() < until:
        os.sched_yield()
