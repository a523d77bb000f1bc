"""Products that run scripts inside httpd's own processes: PHP as a module, with or without more."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar, Final

from servers.peer import Need
from servers.peers import _apache, _php

PHP: Final = Need(f"{_apache.MODULES}/libphp[0-9]*.so", "libapache2-mod-php")


class EmbeddedPhp(_apache.Httpd):
    """PHP as a module of httpd, in prefork processes."""

    language = "php"
    needs: ClassVar[Sequence[Need]] = (_apache.APACHE, PHP)
    options = _php.OPCACHE
    version_command = ("php", "-v")
    mpm: ClassVar[_apache.Mpm] = "prefork"

    def files(self) -> Mapping[str, str]:
        """Return httpd.conf and PHP's settings."""
        settings = _php.files(self.option("opcache"), self.setting.script_seconds)
        return {**super().files(), **settings}

    def environment(self) -> Mapping[str, str]:
        """Have PHP find its settings."""
        return _php.environment(self.setting.run)

    def modules(self) -> Sequence[tuple[str, str]]:
        """Return the modules that isolate, and PHP's."""
        php = PHP.found()
        assert php is not None
        return (*self.isolating(), ("php_module", php))

    def isolating(self) -> Sequence[tuple[str, str]]:
        """Return names and files of the modules that isolate."""
        return ()

    def common(self) -> Sequence[str]:
        """Have PHP interpret scripts."""
        return ("<FilesMatch \\.php$>\nSetHandler application/x-httpd-php\n</FilesMatch>",)
