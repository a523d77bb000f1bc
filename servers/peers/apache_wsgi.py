"""mod_wsgi with a daemon process a tenant, which runs the tenant's Python as the tenant."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from servers.kernel.credentials import Identity
from servers.peer import Need, Peer, Tenant
from servers.peers import _apache, _wsgi


class Product(Peer):
    """Apache passes each request to a daemon process of the tenant's, with threads."""

    precedent = "Apache httpd + mod_wsgi, a daemon a tenant"
    beside = "fastcgi"
    runs_as = "owner"
    language = "python"
    needs = (_apache.APACHE, Need(_apache.module_file("wsgi"), "libapache2-mod-wsgi-py3"))
    version_command = ("/usr/bin/python3", "-V")

    def files(self) -> Mapping[str, str]:
        """Return httpd.conf and an application a tenant."""
        modules = [("wsgi_module", _apache.module_file("wsgi"))]
        hosts = [self._host(tenant) for tenant in self.setting.tenants]
        common = [f'WSGISocketPrefix "{self.setting.run}/wsgi"', "WSGIRestrictEmbedded On"]
        return {
            "httpd.conf": _apache.configuration(self.setting, "event", modules, hosts, common),
            **{
                f"app-{tenant.name}/application.wsgi": _wsgi.application(tenant.site)
                for tenant in self.setting.tenants
            },
        }

    def commands(self) -> Sequence[Sequence[str]]:
        """Return httpd's command."""
        return (_apache.command(self.setting),)

    def directories(self) -> Sequence[tuple[str, Identity]]:
        """Return a directory for each application, which its tenant and the server may read."""
        www = self.setting.www.gid
        return [(f"app-{one.name}", Identity(one.uid, www)) for one in self.setting.tenants]

    def _host(self, tenant: Tenant) -> str:
        folder = f"{self.setting.run}/app-{tenant.name}"
        name = tenant.name
        lines = [
            f"WSGIDaemonProcess {name} user={name} group={name} processes=1 "
            f"threads={self.setting.processes}",
            f'WSGIScriptAlias / "{folder}/application.wsgi"',
            f"WSGIProcessGroup {name}",
            "WSGIApplicationGroup %{GLOBAL}",
            f'<Directory "{folder}">\nRequire all granted\n</Directory>',
        ]
        return _apache.host(self.setting, tenant, tenant.site, lines, ())
