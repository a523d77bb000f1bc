"""Products that execute a program for each request: CGI, with and without suEXEC."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar

from servers.peer import Peer, Tenant
from servers.peers import _apache

INSIDE = ("Options FollowSymLinks ExecCGI", "AddHandler cgi-script .py")


class Cgi(Peer):
    """A program a request."""

    language = "python"
    # The scripts themselves name their interpreter.
    version_command = ()
    mpm: ClassVar[_apache.Mpm] = "prefork"

    def files(self) -> Mapping[str, str]:
        """Return httpd.conf."""
        hosts = [
            _apache.host(self.setting, tenant, self.root(tenant), self.lines(tenant), INSIDE)
            for tenant in self.setting.tenants
        ]
        return {
            "httpd.conf": _apache.configuration(
                self.setting, self.mpm, self.modules(), hosts, self.common()
            )
        }

    def commands(self) -> Sequence[Sequence[str]]:
        """Return httpd's command."""
        return (_apache.command(self.setting),)

    def modules(self) -> Sequence[tuple[str, str]]:
        """Return the modules beside the usual ones."""
        return (("cgi_module", _apache.module_file("cgi")),)

    def common(self) -> Sequence[str]:
        """Return lines of the main server."""
        return ()

    def root(self, tenant: Tenant) -> str:
        """Return the directory that a tenant is served from."""
        return tenant.own if self.wants_own_copies else tenant.site

    def lines(self, tenant: Tenant) -> Sequence[str]:
        """Return lines of a tenant's virtual host."""
        return ()
