"""Six system calls that the kernel holds until another process lets them pass, as in `hussa`."""

from __future__ import annotations

import os

from servers.http import Request, Response
from servers.interpreter.embedded import Embedded, server_environment
from servers.kernel import seccomp
from servers.kernel.seccomp import NOTIFY, Rule
from servers.modes import dso
from servers.modes.hussa.supervisor import SignedCall, new_secret, supervise

TYPE_CHECKING = False  # what mypy believes to be true, as that of `typing`
if TYPE_CHECKING:
    from typing import Final

_CALLS: Final = 6
"""So many has a request of `hussa`: gid, uid and capabilities, there and back."""


class Mode(dso.Mode):
    """Runs the script here, after six calls for nothing."""

    def check_host(self) -> None:
        """Seccomp must be able to ask a process."""
        seccomp.check_available()

    def child_init(self) -> None:
        """Become www for good, under a supervisor."""
        self._interpreter = Embedded(self.setting.limits.output, self.setting.code_cache)
        self._environment = server_environment()
        uid, gid, groups = self.setting.www
        secret = new_secret()
        supervise(seccomp.compile_filter(seccomp.ALLOW, [Rule("setresuid", NOTIFY)]), secret)
        os.setgroups(groups)
        os.setresgid(gid, gid, gid)
        self._call = SignedCall("setresuid", secret)
        self._call(uid, uid, uid)

    def handle(self, request: Request) -> Response:
        """Make the calls, which change nothing, and run the script."""
        uid = self.setting.www.uid
        for _ in range(_CALLS):
            self._call(uid, uid, uid)
        return super().handle(request)
