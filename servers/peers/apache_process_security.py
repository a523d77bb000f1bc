"""mod_process_security: a thread becomes the tenant, whom the script's file names."""

from __future__ import annotations

from collections.abc import Sequence

from servers.peer import Need, Tenant
from servers.peers import _apache
from servers.peers._embedded import PHP, EmbeddedPhp


class Product(EmbeddedPhp):
    """A new thread of the worker takes the identity of the script's file, and runs PHP."""

    precedent = "Apache httpd + mod_process_security + mod_php"
    beside = "process_security_shipped"
    runs_as = "owner"
    in_own_group = False
    packed = False
    wants_own_copies = True
    needs = (_apache.APACHE, PHP, Need(f"{_apache.MODULES}/mod_process_security.so", ""))

    def isolating(self) -> Sequence[tuple[str, str]]:
        """Return the module, as built by hand."""
        file = self.setting.module or _apache.module_file("process_security")
        return (("process_security_module", file),)

    def lines(self, tenant: Tenant) -> Sequence[str]:
        """Have it change for PHP scripts."""
        return ("PSExAll On", f"PSMinUidGid {min(tenant.uid, tenant.gid)} {tenant.gid}")
