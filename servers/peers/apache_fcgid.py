"""mod_fcgid: Apache starts the tenant's php-cgi processes through suEXEC, and keeps them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from servers.kernel.credentials import Identity
from servers.peer import Need, Tenant
from servers.peers import _apache, _php, _suexec

_CGI = Need("/usr/bin/php-cgi[0-9]*", "php-cgi")
_WRAPPER = "php-wrapper"


class Product(_apache.Httpd):
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
    mpm = "event"

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
        return {
            **super().files(),
            **_php.files(self.option("opcache"), self.setting.script_seconds),
            **{f"own/{tenant.name}/{_WRAPPER}": script for tenant in self.setting.tenants},
        }

    def directories(self) -> Sequence[tuple[str, Identity]]:
        """Return where it keeps sockets and its table of processes."""
        return (("fcgid", self.setting.www),)

    def modules(self) -> Sequence[tuple[str, str]]:
        """Return mod_fcgid and mod_suexec."""
        return (_apache.standard_module("fcgid"), _suexec.MODULE)

    def common(self) -> Sequence[str]:
        """Bound the processes of each tenant, and of all."""
        run, most = self.setting.run, self.setting.processes
        return (
            f'FcgidIPCDir "{run}/fcgid"',
            f'FcgidProcessTableFile "{run}/fcgid/table"',
            "FcgidMaxRequestsPerProcess 0",
            f"FcgidMaxProcessesPerClass {most}",
            f"FcgidMaxProcesses {most * len(self.setting.tenants)}",
            "FcgidMinProcessesPerClass 0",
            "FcgidMaxRequestLen 8388608",
            *self._limits(),
        )

    def _limits(self) -> Sequence[str]:
        seconds = self.setting.script_seconds
        if not seconds:
            return ()
        times = f"FcgidIOTimeout {seconds}", f"FcgidBusyTimeout {seconds}"
        return (*times, "FcgidBusyScanInterval 1")

    def lines(self, tenant: Tenant) -> Sequence[str]:
        """Name who the processes run as."""
        return (_suexec.line(tenant.name),)

    def inside(self, tenant: Tenant) -> Sequence[str]:
        """Name the program that starts them."""
        return (
            "Options FollowSymLinks ExecCGI",
            "AddHandler fcgid-script .php",
            f'FcgidWrapper "{tenant.own}/{_WRAPPER}" .php',
        )
