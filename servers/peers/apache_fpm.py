"""php-fpm behind Apache: mod_proxy_fcgi passes requests to a pool of the tenant's processes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from servers.peer import Peer, Tenant
from servers.peers import _apache, _fpm, _php


class Product(Peer):
    """Apache passes each request to the tenant's own pool of PHP processes."""

    precedent = "Apache httpd + mod_proxy_fcgi + php-fpm, a pool a tenant"
    beside = "fastcgi"
    runs_as = "owner"
    language = "php"
    needs = (_apache.APACHE, _fpm.FPM)
    options = _php.OPCACHE
    version_command = ("php", "-v")

    def files(self) -> Mapping[str, str]:
        """Return the configurations of httpd and php-fpm."""
        modules = [(f"{name}_module", _apache.module_file(name)) for name in _MODULES]
        hosts = [self._host(tenant) for tenant in self.setting.tenants]
        return {
            "httpd.conf": _apache.configuration(self.setting, "event", modules, hosts),
            "fpm.conf": _fpm.configuration(self.setting),
            **_php.files(self.option("opcache")),
        }

    def commands(self) -> Sequence[Sequence[str]]:
        """Return the commands of both."""
        return (_fpm.command(self.setting.run), _apache.command(self.setting))

    def sockets(self) -> Sequence[str]:
        """Return where the pools listen."""
        return [_fpm.socket_of(self.setting.run, tenant) for tenant in self.setting.tenants]

    def environment(self) -> Mapping[str, str]:
        """Have PHP find its settings."""
        return _php.environment(self.setting.run)

    def _host(self, tenant: Tenant) -> str:
        socket = _fpm.socket_of(self.setting.run, tenant)
        handler = f'SetHandler "proxy:unix:{socket}|fcgi://localhost"'
        inside = ["<FilesMatch \\.php$>", handler, "</FilesMatch>"]
        return _apache.host(self.setting, tenant, tenant.site, (), inside)


_MODULES = ("proxy", "proxy_fcgi")
