"""mpm-itk: a process is forked for each connection, and becomes the tenant for good."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar

from servers.peer import Need, Tenant
from servers.peers import _apache
from servers.peers._embedded import PHP, EmbeddedPhp


class Product(EmbeddedPhp):
    """Forks a process for each connection, which runs PHP as the tenant.

    A process that has become a tenant cannot become another: on a connection that is kept it drops
    the next tenant's request unanswered. Since requests go to many tenants here, each answer closes
    its connection; `keepalive=on` is for loads whose connections ask one tenant each.
    """

    precedent = "Apache httpd + mpm-itk + mod_php"
    beside = "harache"
    runs_as = "owner"
    needs = (
        _apache.APACHE,
        PHP,
        Need(f"{_apache.MODULES}/mpm_itk.so", "libapache2-mpm-itk"),
    )
    mpm = "itk"
    options: ClassVar[Mapping[str, tuple[str, ...]]] = {
        **EmbeddedPhp.options,
        "keepalive": ("off", "on"),
    }

    @property
    def keep_alive(self) -> bool:
        """Whether connections are kept."""
        return self.option("keepalive") == "on"

    def lines(self, tenant: Tenant) -> Sequence[str]:
        """Name who the process becomes."""
        return (f"AssignUserID {tenant.name} {tenant.name}",)
