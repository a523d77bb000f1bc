"""mod_ruid2: a worker becomes the tenant for a request, and comes back by its capabilities."""

from __future__ import annotations

from collections.abc import Sequence

from servers.peer import Need, Tenant
from servers.peers import _apache
from servers.peers._embedded import PHP, EmbeddedPhp


class Product(EmbeddedPhp):
    """A worker changes its identity for each request, and runs PHP inside itself."""

    precedent = "Apache httpd + mod_ruid2 + mod_php"
    beside = "ruid2"
    runs_as = "owner"
    in_own_group = False
    packed = False
    needs = (_apache.APACHE, PHP, Need(f"{_apache.MODULES}/mod_ruid2.so", ""))

    def isolating(self) -> Sequence[tuple[str, str]]:
        """Return the module, as built by hand."""
        return (("ruid2_module", self.setting.module or _apache.module_file("ruid2")),)

    def lines(self, tenant: Tenant) -> Sequence[str]:
        """Name who the worker becomes, without the server's groups."""
        return ("RMode config", f"RUidGid #{tenant.uid} #{tenant.gid}", "RGroups @none")
