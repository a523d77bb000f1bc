"""mod_cgid: a daemon beside the threaded workers forks and executes the script."""

from __future__ import annotations

from collections.abc import Sequence

from servers.peers import _apache
from servers.peers._cgi import Cgi


class Product(Cgi):
    """Has a daemon execute each script as a program of its own, with the server's identity."""

    precedent = "Apache httpd + mod_cgid"
    beside = "cgi"
    runs_as = "server"
    needs = (_apache.APACHE,)
    mpm = "event"

    def modules(self) -> Sequence[tuple[str, str]]:
        """Return mod_cgid."""
        return (_apache.standard_module("cgid"),)

    def common(self) -> Sequence[str]:
        """Say where the daemon listens."""
        return (f'ScriptSock "{self.setting.run}/cgid.sock"',)
