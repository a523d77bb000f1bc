"""Products that execute a program for each request: CGI, with and without suEXEC."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from servers.peer import Tenant
from servers.peers import _apache


class Cgi(_apache.Httpd):
    """A program a request."""

    language = "python"
    # The scripts themselves name their interpreter.
    version_command = ()
    mpm: ClassVar[_apache.Mpm] = "prefork"

    def modules(self) -> Sequence[tuple[str, str]]:
        """Return mod_cgi."""
        return (_apache.standard_module("cgi"),)

    def inside(self, tenant: Tenant) -> Sequence[str]:
        """Have scripts executed."""
        return ("Options FollowSymLinks ExecCGI", "AddHandler cgi-script .py")
