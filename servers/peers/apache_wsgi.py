"""mod_wsgi with a daemon process a tenant, which runs the tenant's Python as the tenant."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from servers.kernel.credentials import Identity
from servers.peer import Need, Tenant
from servers.peers import _apache, _wsgi


class Product(_apache.Httpd):
    """Apache passes each request to a daemon process of the tenant's, with threads."""

    precedent = "Apache httpd + mod_wsgi, a daemon a tenant"
    beside = "fastcgi"
    runs_as = "owner"
    language = "python"
    needs = (_apache.APACHE, Need(_apache.module_file("wsgi"), "libapache2-mod-wsgi-py3"))
    version_command = ("/usr/bin/python3", "-V")
    mpm = "event"

    def files(self) -> Mapping[str, str]:
        """Return httpd.conf and an application a tenant."""
        applications = {
            f"app-{tenant.name}/application.wsgi": _wsgi.application(tenant.site)
            for tenant in self.setting.tenants
        }
        return {**super().files(), **applications}

    def directories(self) -> Sequence[tuple[str, Identity]]:
        """Return a directory for each application, which its tenant and the server may read."""
        www = self.setting.www.gid
        return [(f"app-{one.name}", Identity(one.uid, www)) for one in self.setting.tenants]

    def modules(self) -> Sequence[tuple[str, str]]:
        """Return mod_wsgi."""
        return (_apache.standard_module("wsgi"),)

    def common(self) -> Sequence[str]:
        """Say where the daemons listen, and that httpd's own processes run no application."""
        return (f'WSGISocketPrefix "{self.setting.run}/wsgi"', "WSGIRestrictEmbedded On")

    def lines(self, tenant: Tenant) -> Sequence[str]:
        """Give the tenant a daemon, and all requests to it."""
        folder, name = f"{self.setting.run}/app-{tenant.name}", tenant.name
        seconds = self.setting.script_seconds
        limit = f" request-timeout={seconds} graceful-timeout=1" if seconds else ""
        return (
            f"WSGIDaemonProcess {name} user={name} group={name} processes=1 "
            f"threads={self.setting.processes}{limit}",
            f'WSGIScriptAlias / "{folder}/application.wsgi"',
            f"WSGIProcessGroup {name}",
            "WSGIApplicationGroup %{GLOBAL}",
            f'<Directory "{folder}">\nRequire all granted\n</Directory>',
        )
