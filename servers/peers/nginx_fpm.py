"""php-fpm behind nginx: a pool of the tenant's processes, to which requests go by FastCGI."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from servers.peer import Tenant
from servers.peers import _fpm, _nginx


class Product(_fpm.Fpm):
    """nginx passes each request to the tenant's own pool of PHP processes."""

    precedent = "nginx + php-fpm, a pool a tenant"
    needs = (_nginx.NGINX, _fpm.FPM)

    def files(self) -> Mapping[str, str]:
        """Return the configurations of nginx and php-fpm."""
        nginx = _nginx.configuration(self.setting, self._location)
        return {"nginx.conf": nginx, **super().files()}

    def commands(self) -> Sequence[Sequence[str]]:
        """Return the commands of both."""
        return (*super().commands(), _nginx.command(self.setting))

    def _location(self, tenant: Tenant) -> str:
        values = {
            **_nginx.PARAMETERS,
            "GATEWAY_INTERFACE": "CGI/1.1",
            "SCRIPT_FILENAME": "$document_root$fastcgi_script_name",
            "SCRIPT_NAME": "$fastcgi_script_name",
            "REDIRECT_STATUS": "200",
        }
        params = " ".join(f"fastcgi_param {name} {value};" for name, value in values.items())
        socket = _fpm.socket_of(self.setting.run, tenant)
        return f"location ~ \\.php$ {{ {params} fastcgi_pass unix:{socket}; }}"
