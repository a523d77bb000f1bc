"""`harache`: a root worker, confined by the kernel, forks a child a request that drops for good.

The original restricts its root server by a secure operating system (SELinux). Here the same end
is met by what every current kernel offers: a bounding set of three capabilities, locked
securebits, a Landlock domain, and no_new_privs, which the children inherit.
"""

from __future__ import annotations

import gc
import sys

from servers import linux, requirements
from servers.credentials import become
from servers.forked import ForkedScripts
from servers.http import Request, Response
from servers.mode import IsolationMode, RunsAs
from servers.script import environment_of, server_environment

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
    """Forks on each request; the child becomes the owner, runs the script and ends."""

    precedent = "Harache (IPSJ Journal 46(12), 2005); Apache mpm-itk"
    runs_as = RunsAs.OWNER

    def check_host(self) -> None:
        """Changing identity takes root."""
        requirements.other_identities(self.setting)

    def child_init(self) -> None:
        """Stay root, but of all its power keep three capabilities and a few directories."""
        self._scripts = ForkedScripts(self.setting.limits.output, self.setting.code_cache)
        self._environment = server_environment()
        linux.prctl(linux.PR_SET_NO_NEW_PRIVS, 1)  # without it Landlock asks for CAP_SYS_ADMIN
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

    def handle(self, request: Request) -> Response:
        """Fork; the child becomes the owner for good and runs the script."""
        environment = environment_of(request, self._environment)
        return self._scripts.run(request, environment, lambda: become(request.script.site.owner))

    def cleanup(self, request: Request) -> None:
        """Kill the child, if its time ran out."""
        self._scripts.kill()
