"""uWSGI behind nginx: an emperor keeps processes of each tenant, a vassal each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from servers.kernel.credentials import Identity
from servers.peer import Need, Peer, Tenant
from servers.peers import _nginx, _wsgi

_UWSGI = Need("/usr/bin/uwsgi-core", "uwsgi-core")
_PYTHON = Need("/usr/lib/uwsgi/plugins/python3_plugin.so", "uwsgi-plugin-python3")


class Product(Peer):
    """nginx passes each request to the tenant's own uWSGI processes."""

    precedent = "nginx + uWSGI emperor, a vassal a tenant"
    beside = "fastcgi"
    runs_as = "owner"
    language = "python"
    needs = (_nginx.NGINX, _UWSGI, _PYTHON)
    version_command = ("/usr/bin/python3", "-V")

    def files(self) -> Mapping[str, str]:
        """Return nginx.conf, and a vassal and an application a tenant."""
        run = self.setting.run
        return {
            "nginx.conf": _nginx.configuration(self.setting, self._location),
            **{f"vassals/{one.name}.ini": self._vassal(one) for one in self.setting.tenants},
            **{
                f"app-{one.name}/application.py": _wsgi.application(one.site)
                for one in self.setting.tenants
            },
            "emperor.ini": f"[uwsgi]\nemperor = {run}/vassals\ndisable-logging = true\n",
        }

    def commands(self) -> Sequence[Sequence[str]]:
        """Return the commands of both."""
        emperor = (
            "/usr/bin/uwsgi-core",
            "--die-on-term",
            "--ini",
            f"{self.setting.run}/emperor.ini",
        )
        return (emperor, _nginx.command(self.setting))

    def sockets(self) -> Sequence[str]:
        """Return where the vassals listen."""
        return [self._socket(tenant) for tenant in self.setting.tenants]

    def directories(self) -> Sequence[tuple[str, Identity]]:
        """Return a directory a tenant, for the application and the socket."""
        www = self.setting.www.gid
        return [(f"app-{one.name}", Identity(one.uid, www)) for one in self.setting.tenants]

    def _socket(self, tenant: Tenant) -> str:
        return f"{self.setting.run}/app-{tenant.name}/uwsgi.sock"

    def _vassal(self, tenant: Tenant) -> str:
        folder = f"{self.setting.run}/app-{tenant.name}"
        seconds = self.setting.script_seconds
        limit = f"harakiri = {seconds}\n" if seconds else ""
        return f"""[uwsgi]
plugins = python3
uid = {tenant.uid}
gid = {tenant.gid}
socket = {self._socket(tenant)}
chmod-socket = 666
master = true
processes = {min(2, self.setting.processes)}
wsgi-file = {folder}/application.py
disable-logging = true
die-on-term = true
{limit}"""

    def _location(self, tenant: Tenant) -> str:
        values = {**_nginx.PARAMETERS, "PATH_INFO": "$document_uri"}
        params = " ".join(f"uwsgi_param {name} {value};" for name, value in values.items())
        return f"location / {{ {params} uwsgi_pass unix:{self._socket(tenant)}; }}"
