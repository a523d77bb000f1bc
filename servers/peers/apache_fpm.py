"""php-fpm behind Apache: mod_proxy_fcgi passes requests to a pool of the tenant's processes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from servers.peer import Tenant
from servers.peers import _apache, _fpm


class Product(_fpm.Fpm, _apache.Httpd):
    """Apache passes each request to the tenant's own pool of PHP processes."""

    precedent = "Apache httpd + mod_proxy_fcgi + php-fpm, a pool a tenant"
    needs = (_apache.APACHE, _fpm.FPM)
    mpm = "event"

    def files(self) -> Mapping[str, str]:
        """Return the configurations of httpd and php-fpm."""
        return {**_apache.Httpd.files(self), **_fpm.Fpm.files(self)}

    def commands(self) -> Sequence[Sequence[str]]:
        """Return the commands of both."""
        return (*_fpm.Fpm.commands(self), *_apache.Httpd.commands(self))

    def modules(self) -> Sequence[tuple[str, str]]:
        """Return those that pass requests on."""
        return [_apache.standard_module(name) for name in ("proxy", "proxy_fcgi")]

    def inside(self, tenant: Tenant) -> Sequence[str]:
        """Pass requests for scripts to the tenant's pool."""
        socket = _fpm.socket_of(self.setting.run, tenant)
        handler = f'SetHandler "proxy:unix:{socket}|fcgi://localhost"'
        return ("<FilesMatch \\.php$>", handler, "</FilesMatch>")
