"""suEXEC: a setuid wrapper checks the script and executes it as the tenant."""

from __future__ import annotations

from collections.abc import Sequence

from servers.peer import Tenant
from servers.peers import _apache, _suexec
from servers.peers._cgi import Cgi


class Product(Cgi):
    """Executes each script as a program of its own, as the tenant, through a setuid wrapper."""

    precedent = "Apache httpd + suEXEC (mod_cgi)"
    beside = "suexec"
    runs_as = "owner"
    needs = (_apache.APACHE, _suexec.WRAPPER)
    wants_own_copies = True
    wants_suexec = True

    def modules(self) -> Sequence[tuple[str, str]]:
        """Return mod_cgi and mod_suexec."""
        return (*super().modules(), _suexec.MODULE)

    def lines(self, tenant: Tenant) -> Sequence[str]:
        """Name who the scripts run as."""
        return (_suexec.line(tenant.name),)
