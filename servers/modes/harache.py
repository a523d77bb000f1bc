"""`harache`: a root worker, confined by the kernel, forks a child a request that drops for good.

The original restricts its root server by a secure operating system (SELinux). Here the same end
is met by what every current kernel offers: a bounding set of three capabilities, locked
securebits, a Landlock domain, and no_new_privs in the child.
"""

from __future__ import annotations

import gc
import os
import signal
import sys

from servers import linux, requirements
from servers.credentials import become
from servers.http import Request, Response
from servers.mode import Answered, IsolationMode, RunsAs
from servers.script import Embedded, environment_of, server_environment
from servers.worker import answer_and_exit, answered

_NEEDED = linux.capability_mask(linux.CAP_SETUID, linux.CAP_SETGID, linux.CAP_KILL)
_LOCKED_BITS = linux.SECBIT_NOROOT | linux.SECBIT_NOROOT_LOCKED | linux.SECBIT_KEEP_CAPS_LOCKED
_READ = (
    linux.LANDLOCK_ACCESS_FS_EXECUTE
    | linux.LANDLOCK_ACCESS_FS_READ_FILE
    | linux.LANDLOCK_ACCESS_FS_READ_DIR
)
# What programs in general need to read. The rest of /etc, /root, /home and /var stays closed to
# the root worker, and so to whatever it is made to do.
_SYSTEM = (
    "/usr", "/lib", "/lib64", "/bin", "/sbin", "/proc",
    "/etc/ld.so.cache", "/etc/localtime", "/etc/ssl", "/etc/mime.types",
)  # fmt: skip


class Mode(IsolationMode):
    """Forks on each request; the child becomes the owner, runs the script, answers and ends."""

    precedent = "Harache (IPSJ Journal 46(12), 2005); Apache mpm-itk"
    runs_as = RunsAs.OWNER

    _child = 0

    def check_host(self) -> None:
        """Changing identity takes root."""
        requirements.other_identities(self.setting)

    def child_init(self) -> None:
        """Stay root, but of all its power keep three capabilities and a few directories."""
        self._interpreter = Embedded(self.setting.limits.output, self.setting.code_cache)
        self._environment = server_environment()
        self._confine_files()
        linux.prctl(linux.PR_SET_SECUREBITS, _LOCKED_BITS)
        linux.drop_bounding_set(keep=_NEEDED)
        linux.capset(linux.Capabilities(_NEEDED, _NEEDED))
        gc.freeze()

    def _confine_files(self) -> None:
        if not linux.landlock_abi():
            return
        everything = linux.LANDLOCK_ACCESS_FS_ABI_1
        readable = [(path, _READ) for path in (*_SYSTEM, sys.base_prefix)]
        writable = [(str(self.setting.sites), everything), ("/tmp", everything)]
        devices = [
            (
                f"/dev/{name}",
                linux.LANDLOCK_ACCESS_FS_READ_FILE | linux.LANDLOCK_ACCESS_FS_WRITE_FILE,
            )
            for name in ("null", "zero", "full", "random", "urandom")
        ]
        linux.landlock_restrict(everything, readable + writable + devices)

    def handle(self, request: Request) -> Answered:
        """Fork, and wait for the child: it writes the response by itself."""
        # Made before the fork: each page that the child writes to has to be copied for it.
        environment = environment_of(request, self._environment)
        self._child = os.fork()
        if self._child == 0:
            answer_and_exit(request, lambda: self._run_as_owner(request, environment))
        _, status = os.waitpid(self._child, 0)
        self._child = 0
        return answered(status)

    def _run_as_owner(self, request: Request, environment: dict[bytes, bytes]) -> Response:
        """Drop for good, then run the script. In the child."""
        become(request.script.site.owner)
        linux.prctl(linux.PR_SET_NO_NEW_PRIVS, 1)
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        return self._interpreter.run(request, environment)

    def cleanup(self, request: Request) -> None:
        """Kill the child, if its time ran out."""
        if self._child:
            os.kill(self._child, signal.SIGKILL)
            os.waitpid(self._child, 0)
            self._child = 0
