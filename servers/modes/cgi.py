"""`cgi`: each request starts the script as a program of its own, under the server's identity."""

from __future__ import annotations

import errno
import os
import stat

from servers.http import Request, Response
from servers.interpreter.cgi_program import SPAWNERS, Program
from servers.interpreter.embedded import (
    ScriptFailed,
    environment_of,
    parse_output,
    server_environment,
)
from servers.kernel.credentials import drop_for_good
from servers.mode import IsolationMode, RunsAs

TYPE_CHECKING = False  # what mypy believes to be true, as that of `typing`
if TYPE_CHECKING:
    from typing import ClassVar

    from servers.profiling.timelines import Timeline


class Mode(IsolationMode):
    """Spawns the script, which its `#!` line hands to an interpreter, as www."""

    precedent = "Apache mod_cgi, RFC 3875"
    runs_as = RunsAs.SERVER
    recipe: ClassVar[tuple[str, ...] | None] = ("program", "imports")
    options = {"spawn": ("posix_spawn", "fork")}  # noqa: RUF012 - read-only, see IsolationMode

    _program: Program | None = None
    _ended_by_itself = False

    @classmethod
    def timeline(cls) -> Timeline:
        """Say which phases a request has here."""
        from servers.profiling.timelines import (
            BACK,
            FRONT,
            PROGRAM,
            PROGRAM_ENDS,
            PROGRAM_PROBES,
            Timeline,
        )

        return Timeline((*FRONT, *PROGRAM, *BACK), PROGRAM_ENDS, PROGRAM_PROBES)

    def child_init(self) -> None:
        """Become www for good."""
        self._spawn = SPAWNERS[self.option("spawn")]
        self._environment = server_environment()
        drop_for_good(self.setting.www)

    def handle(self, request: Request) -> Response:
        """Start the script in its own directory (RFC 3875, section 7.2) and read its output."""
        refuse_link(request.script.path)
        os.chdir(request.script.directory)
        environment = environment_of(request, self._environment)
        arguments = self.command(request)
        try:
            self._program = Program(self._spawn, arguments, environment, request.body)
        except FileNotFoundError:
            raise ScriptFailed("the interpreter in its #! line does not exist") from None
        except OSError as error:
            if isinstance(error, PermissionError):
                raise
            raise ScriptFailed(f"the kernel cannot execute it: {error.strerror}") from None
        output = self._program.read_output(self.setting.limits.output)
        self._ended_by_itself = True
        return parse_output(output)

    def command(self, request: Request) -> list[bytes]:
        """Return the program to execute and its arguments."""
        return [request.script.path]

    def cleanup(self, request: Request) -> None:
        """Reap the program, and kill it first if it was not read to its end."""
        program, self._program = self._program, None
        if program is not None:
            program.finish(kill=not self._ended_by_itself)
            self._ended_by_itself = False


def refuse_link(path: bytes) -> None:
    """Raise OSError, as open(2) with O_NOFOLLOW would, for a script that is a symbolic link.

    exec follows links, and www can follow them where the tenant who made them cannot.
    """
    if stat.S_ISLNK(os.lstat(path).st_mode):
        raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), path)
