"""mod_fcgid: Apache starts the tenant's php-cgi processes through suEXEC, and keeps them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from servers.kernel.credentials import Identity
from servers.peer import Need, Peer, Tenant
from servers.peers import _apache, _php, _suexec

_CGI = Need("/usr/bin/php-cgi[0-9]*", "php-cgi")
_WRAPPER = "php-wrapper"


class Product(Peer):
    """Apache keeps php-cgi processes of each tenant, started by its setuid wrapper."""

    precedent = "Apache httpd + mod_fcgid + suEXEC (php-cgi)"
    beside = "fastcgi"
    runs_as = "owner"
    language = "php"
    needs = (
        _apache.APACHE,
        Need(_apache.module_file("fcgid"), "libapache2-mod-fcgid"),
        _CGI,
        _suexec.WRAPPER,
    )
    options = _php.OPCACHE
    version_command = ("php", "-v")
    wants_own_copies = True
    wants_suexec = True

    def files(self) -> Mapping[str, str]:
        """Return httpd.conf, PHP's settings, and each tenant's program that starts PHP."""
        program = _CGI.found()
        run = self.setting.run
        (scanned,) = _php.environment(run).items()
        # The wrapper clears the environment, so that this program sets what PHP is to find.
        script = (
            f"#!/bin/sh\nPHP_FCGI_CHILDREN=0 PHP_FCGI_MAX_REQUESTS=0 {'='.join(scanned)}\n"
            f"export PHP_FCGI_CHILDREN PHP_FCGI_MAX_REQUESTS {scanned[0]}\nexec {program}\n"
        )
        modules = [("fcgid_module", _apache.module_file("fcgid")), _suexec.MODULE]
        hosts = [self._host(tenant) for tenant in self.setting.tenants]
        return {
            "httpd.conf": _apache.configuration(
                self.setting, "event", modules, hosts, self._common()
            ),
            **_php.files(self.option("opcache")),
            **{f"own/{tenant.name}/{_WRAPPER}": script for tenant in self.setting.tenants},
        }

    def commands(self) -> Sequence[Sequence[str]]:
        """Return httpd's command."""
        return (_apache.command(self.setting),)

    def directories(self) -> Sequence[tuple[str, Identity]]:
        """Return where it keeps sockets and its table of processes."""
        return (("fcgid", self.setting.www),)

    def _common(self) -> Sequence[str]:
        run, most = self.setting.run, self.setting.processes
        return (
            f'FcgidIPCDir "{run}/fcgid"',
            f'FcgidProcessTableFile "{run}/fcgid/table"',
            "FcgidMaxRequestsPerProcess 0",
            f"FcgidMaxProcessesPerClass {most}",
            f"FcgidMaxProcesses {most * len(self.setting.tenants)}",
            "FcgidMinProcessesPerClass 0",
            "FcgidMaxRequestLen 8388608",
        )

    def _host(self, tenant: Tenant) -> str:
        inside = [
            "Options FollowSymLinks ExecCGI",
            "AddHandler fcgid-script .php",
            f'FcgidWrapper "{tenant.own}/{_WRAPPER}" .php',
        ]
        return _apache.host(self.setting, tenant, tenant.own, [_suexec.line(tenant.name)], inside)
