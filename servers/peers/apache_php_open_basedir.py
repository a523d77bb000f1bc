"""mod_php with open_basedir: the language keeps each tenant's scripts to its own directory."""

from __future__ import annotations

from collections.abc import Sequence

from servers.peer import Tenant
from servers.peers._embedded import EmbeddedPhp


class Product(EmbeddedPhp):
    """PHP inside Apache's processes, which opens files below the tenant's site only."""

    precedent = "Apache httpd + mod_php with open_basedir"
    beside = "safe_mode"
    runs_as = "server"

    def lines(self, tenant: Tenant) -> Sequence[str]:
        """Keep PHP to the tenant's site and the directory for temporary files."""
        return (f'php_admin_value open_basedir "{tenant.site}/:/tmp/"',)
