"""php-fpm with a pool a tenant: processes that are the tenant's, started when asked for.

A web server stands before it, and each subclass adds one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from servers.peer import Need, Peer, Setting, Tenant
from servers.peers import _php

FPM: Final = Need("/usr/sbin/php-fpm[0-9]*", "php-fpm")


class Fpm(Peer):
    """PHP in a pool of processes a tenant, to which a web server passes requests."""

    beside = "fastcgi"
    runs_as = "owner"
    language = "php"
    forks_only_workers = True
    options = _php.OPCACHE
    version_command = ("php", "-v")

    def files(self) -> Mapping[str, str]:
        """Return the configuration of php-fpm, and PHP's settings."""
        settings = _php.files(self.option("opcache"), self.setting.script_seconds)
        return {"fpm.conf": configuration(self.setting), **settings}

    def commands(self) -> Sequence[Sequence[str]]:
        """Return the command that runs php-fpm's master in the foreground."""
        program = FPM.found()
        assert program is not None
        return ((program, "-F", "-y", f"{self.setting.run}/fpm.conf"),)

    def sockets(self) -> Sequence[str]:
        """Return where the pools listen."""
        return [socket_of(self.setting.run, tenant) for tenant in self.setting.tenants]

    def environment(self) -> Mapping[str, str]:
        """Have PHP find its settings."""
        return _php.environment(self.setting.run)


def socket_of(run: str, tenant: Tenant) -> str:
    """Return where the pool of a tenant listens."""
    return f"{run}/fpm-{tenant.name}.sock"


def configuration(setting: Setting) -> str:
    """Return fpm.conf."""
    pools = (
        f"""[{tenant.name}]
user = {tenant.uid}
group = {tenant.gid}
listen = {socket_of(setting.run, tenant)}
listen.owner = {setting.www.uid}
listen.group = {setting.www.gid}
listen.mode = 0600
pm = ondemand
pm.max_children = {setting.processes}
pm.process_idle_timeout = 60s
request_terminate_timeout = {setting.script_seconds}
"""
        for tenant in setting.tenants
    )
    head = "[global]\nerror_log = /dev/stderr\nlog_level = warning\ndaemonize = no\n"
    return head + "".join(pools)
