"""`suexec`: each request starts the script through a setuid-root wrapper, which checks and drops.

The worker has no privilege at all. The wrapper, suexec.c beside this file, is the whole of the
trusted code; it is compiled for the run with the one caller and the one directory it serves.
"""

from __future__ import annotations

import os
from pathlib import Path

from servers import c_programs, host_checks
from servers.http import Request
from servers.mode import RunsAs
from servers.modes import cgi

TYPE_CHECKING = False  # what mypy believes to be true, as that of `typing`
if TYPE_CHECKING:
    from servers.profiling.timelines import Timeline

_SOURCE = Path(__file__).with_name("suexec.c")
_FLAGS = ("-std=c11", "-O2", "-Wall", "-Wextra", "-Werror")
_LOWEST_ID = 1000


class Mode(cgi.Mode):
    """Spawns the wrapper, which becomes the owner and executes the script."""

    precedent = "Apache suEXEC"
    runs_as = RunsAs.OWNER
    recipe = ("program", "imports", "wrapper")

    @classmethod
    def timeline(cls) -> Timeline:
        """Say which phases a request has here: the wrapper's as well."""
        from servers.profiling.timelines import (
            BACK,
            FRONT,
            PROGRAM_ENDS,
            PROGRAM_PROBES,
            WRAPPED,
            Timeline,
        )

        return Timeline((*FRONT, *WRAPPED, *BACK), PROGRAM_ENDS, PROGRAM_PROBES)

    def check_host(self) -> None:
        """The wrapper must be compiled, and the kernel must honour its setuid bit."""
        host_checks.other_identities(self.setting)
        host_checks.setuid_programs(self.setting)
        host_checks.c_compiler()

    def master_init(self) -> None:
        """Compile the wrapper and install it, setuid root, executable by www alone."""
        wrapper = Path(self.setting.private, "suexec")
        compile_wrapper(wrapper, self.setting.sites, self.setting.www.uid, self.setting.www.gid)
        os.chown(wrapper, 0, self.setting.www.gid)
        wrapper.chmod(0o4750)
        self._wrapper = os.fsencode(wrapper)

    def command(self, request: Request) -> list[bytes]:
        """Return the wrapper's command line. The program is in the working directory."""
        script = request.script
        owner = script.site.owner
        name = script.path.rpartition(b"/")[2]
        return [self._wrapper, b"%d" % owner.uid, b"%d" % owner.gid, name]


def c_string(text: bytes) -> str:
    """Return a C string literal of these bytes, none of which the compiler sees as it is.

    Each is an octal escape of three digits (C11 6.4.4.4), so that no path can end the literal, or
    become code of a program that runs as root. NUL, which no path has, would end the string.
    """
    return '"' + "".join(f"\\{byte:03o}" for byte in text) + '"'


def compile_wrapper(target: Path, sites: str, www_uid: int, www_gid: int) -> None:
    """Compile suexec.c for one caller and one document root. Raises Unavailable."""
    settings = {
        "SUEXEC_CALLER": str(www_uid),
        "SUEXEC_SERVER_GID": str(www_gid),
        "SUEXEC_DOC_ROOT": c_string(os.fsencode(sites)),
        "SUEXEC_UID_MIN": str(_LOWEST_ID),
        "SUEXEC_GID_MIN": str(_LOWEST_ID),
    }
    flags = [*_FLAGS, *(f"-D{name}={value}" for name, value in settings.items())]
    c_programs.compile_to(os.fspath(target), os.fspath(_SOURCE), flags)
