"""php-fpm with a pool a tenant: processes that are the tenant's, started when asked for."""

from __future__ import annotations

from typing import Final

from servers.peer import Need, Setting, Tenant

FPM: Final = Need("/usr/sbin/php-fpm[0-9]*", "php-fpm")


def command(run: str) -> tuple[str, ...]:
    """Return the command that runs the master in the foreground."""
    program = FPM.found()
    assert program is not None
    return (program, "-F", "-y", f"{run}/fpm.conf")


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
"""
        for tenant in setting.tenants
    )
    head = "[global]\nerror_log = /dev/stderr\nlog_level = alert\ndaemonize = no\n"
    return head + "".join(pools)
