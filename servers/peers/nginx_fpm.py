"""php-fpm behind nginx: a pool of the tenant's processes, to which requests go by FastCGI."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from servers.peer import Peer, Tenant
from servers.peers import _fpm, _nginx, _php


class Product(Peer):
    """nginx passes each request to the tenant's own pool of PHP processes."""

    precedent = "nginx + php-fpm, a pool a tenant"
    beside = "fastcgi"
    runs_as = "owner"
    language = "php"
    needs = (_nginx.NGINX, _fpm.FPM)
    options = _php.OPCACHE
    version_command = ("php", "-v")

    def files(self) -> Mapping[str, str]:
        """Return the configurations of nginx and php-fpm."""
        return {
            "nginx.conf": _nginx.configuration(self.setting, self._location),
            "fpm.conf": _fpm.configuration(self.setting),
            **_php.files(self.option("opcache")),
        }

    def commands(self) -> Sequence[Sequence[str]]:
        """Return the commands of both."""
        return (_fpm.command(self.setting.run), _nginx.command(self.setting))

    def sockets(self) -> Sequence[str]:
        """Return where the pools listen."""
        return [_fpm.socket_of(self.setting.run, tenant) for tenant in self.setting.tenants]

    def environment(self) -> Mapping[str, str]:
        """Have PHP find its settings."""
        return _php.environment(self.setting.run)

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
