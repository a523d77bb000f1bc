"""Products that run scripts inside httpd's own processes: PHP as a module, with or without more."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar, Final

from servers.peer import Need, Peer, Tenant
from servers.peers import _apache, _php

PHP: Final = Need(f"{_apache.MODULES}/libphp[0-9]*.so", "libapache2-mod-php")


class EmbeddedPhp(Peer):
    """PHP as a module of httpd, in prefork processes."""

    language = "php"
    needs: ClassVar[Sequence[Need]] = (_apache.APACHE, PHP)
    options = _php.OPCACHE
    version_command = ("php", "-v")
    mpm: ClassVar[_apache.Mpm] = "prefork"
    keep_alive: ClassVar[bool] = True
    common: ClassVar[Sequence[str]] = ()

    def files(self) -> Mapping[str, str]:
        """Return httpd.conf and PHP's settings."""
        php = PHP.found()
        assert php is not None
        text = _apache.configuration(
            self.setting,
            self.mpm,
            [*self.modules(), ("php_module", php)],
            [self._host(tenant) for tenant in self.setting.tenants],
            ["<FilesMatch \\.php$>\nSetHandler application/x-httpd-php\n</FilesMatch>",
             *self.common],
            keep_alive=self.keep_alive,
        )  # fmt: skip
        return {"httpd.conf": text, **_php.files(self.option("opcache"))}

    def commands(self) -> Sequence[Sequence[str]]:
        """Return httpd's command."""
        return (_apache.command(self.setting),)

    def environment(self) -> Mapping[str, str]:
        """Have PHP find its settings."""
        return _php.environment(self.setting.run)

    def modules(self) -> Sequence[tuple[str, str]]:
        """Return the modules that isolate."""
        return ()

    def root(self, tenant: Tenant) -> str:
        """Return the directory that a tenant is served from."""
        return tenant.own if self.wants_own_copies else tenant.site

    def lines(self, tenant: Tenant) -> Sequence[str]:
        """Return what isolates a tenant, as lines of its virtual host."""
        return ()

    def _host(self, tenant: Tenant) -> str:
        return _apache.host(self.setting, tenant, self.root(tenant), self.lines(tenant), ())
