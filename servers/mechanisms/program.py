"""An interpreter that is executed for a script without a line, as `cgi` does, and reaped."""

from __future__ import annotations

import os
import sys

from servers.http import Request, Response
from servers.interpreter.cgi_program import Program, posix_spawn
from servers.interpreter.embedded import environment_of
from servers.modes import dso

TYPE_CHECKING = False  # what mypy believes to be true, as that of `typing`
if TYPE_CHECKING:
    from typing import ClassVar


class Mode(dso.Mode):
    """Runs the script here, and a program for nothing."""

    lines: ClassVar[bytes] = b""
    """The script that the interpreter is executed for."""

    def master_init(self) -> None:
        """Write the script, for www to read."""
        self._path = os.path.join(self.setting.private, "script.py")
        with open(self._path, "wb") as file:
            file.write(self.lines)
            os.fchmod(file.fileno(), 0o644)

    def command(self) -> list[bytes]:
        """Return the program and its arguments: what a tenant's `#!` line makes of a script."""
        return [os.fsencode(sys.executable), b"-IS", os.fsencode(self._path)]

    def handle(self, request: Request) -> Response:
        """Run the script, then the program, and read to its end what it prints."""
        response = super().handle(request)
        environment = environment_of(request, self._environment)
        program = Program(posix_spawn, self.command(), environment, request.body)
        program.read_output(self.setting.limits.output)
        program.finish(kill=False)
        return response
