"""Products in Apache's httpd: modules, processes, a virtual host a tenant.

Nothing of /etc/apache2 is read. Logs are off but for critical errors and for children that a signal
has ended, which go to the server's own log; AllowOverride is None; keep-alive is as long as the
modes'.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import ClassVar, Final, Literal

from servers.peer import Need, Peer, Setting, Tenant

PROGRAM: Final = "/usr/sbin/apache2"
MODULES: Final = "/usr/lib/apache2/modules"
APACHE: Final = Need(PROGRAM, "apache2")
WWW: Final = "www"
"""The name of the server's own identity in the generated passwd and group."""

Mpm = Literal["prefork", "event", "itk"]

_USUAL: Final = ("authz_core", "mime")


class Httpd(Peer):
    """A product that is httpd, with the modules and the lines that its class names."""

    mpm: ClassVar[Mpm]

    @property
    def keep_alive(self) -> bool:
        """Whether connections are kept for further requests."""
        return True

    def files(self) -> Mapping[str, str]:
        """Return httpd.conf."""
        hosts = [self._host(tenant) for tenant in self.setting.tenants]
        return {
            "httpd.conf": configuration(
                self.setting,
                self.mpm,
                self.modules(),
                hosts,
                self.common(),
                keep_alive=self.keep_alive,
            )
        }

    def commands(self) -> Sequence[Sequence[str]]:
        """Return httpd's command, in the foreground."""
        run = self.setting.run
        return ((PROGRAM, "-d", run, "-f", f"{run}/httpd.conf", "-DFOREGROUND"),)

    def modules(self) -> Sequence[tuple[str, str]]:
        """Return names and files of the modules beside the usual ones."""
        return ()

    def common(self) -> Sequence[str]:
        """Return lines of the main server."""
        return ()

    def root(self, tenant: Tenant) -> str:
        """Return the directory that a tenant is served from."""
        return tenant.own if self.wants_own_copies else tenant.site

    def lines(self, tenant: Tenant) -> Sequence[str]:
        """Return lines of a tenant's virtual host."""
        return ()

    def inside(self, tenant: Tenant) -> Sequence[str]:
        """Return lines of the directory that a tenant is served from."""
        return ()

    def _host(self, tenant: Tenant) -> str:
        return host(
            self.setting, tenant, self.root(tenant), self.lines(tenant), self.inside(tenant)
        )


def standard_module(name: str) -> tuple[str, str]:
    """Return the name and the file of one of the modules that come with httpd."""
    return f"{name}_module", module_file(name)


def module_file(name: str) -> str:
    """Return the file of one of the modules that come with httpd."""
    return f"{MODULES}/mod_{name}.so"


def configuration(
    setting: Setting,
    mpm: Mpm,
    modules: Iterable[tuple[str, str]],
    hosts: Iterable[str],
    common: Sequence[str] = (),
    *,
    keep_alive: bool = True,
) -> str:
    """Return httpd.conf. `modules` are names and files beside the usual ones.

    `hosts` holds the text of each tenant's virtual host (see `host`).
    """
    usual = map(standard_module, _USUAL)
    lines = [
        f"ServerRoot {_quoted(setting.run)}",
        "ServerName localhost",
        f"DefaultRuntimeDir {_quoted(setting.run)}",
        f"PidFile {_quoted(setting.run + '/httpd.pid')}",
        f"Mutex file:{setting.run} default",
        "ErrorLog /dev/stderr",
        *_processes(setting, mpm),
        *(f"LoadModule {name} {_quoted(file)}" for name, file in (*usual, *modules)),
        f"Listen {setting.host}:{setting.port}",
        f"User {WWW}",
        f"Group {WWW}",
        # Of children that a signal has ended it tells as a notice.
        "LogLevel crit core:notice",
        f"Timeout {setting.script_seconds or 30}",
        f"KeepAlive {'On' if keep_alive else 'Off'}",
        "KeepAliveTimeout 10",
        "MaxKeepAliveRequests 0",
        "HostnameLookups Off",
        "TypesConfig /dev/null",
        "<Directory />\nAllowOverride None\nRequire all denied\n</Directory>",
        *common,
        # The first one is for hosts that nobody has.
        f"<VirtualHost {setting.host}:{setting.port}>\nServerName nobody.invalid\n"
        f"DocumentRoot {_quoted(setting.run + '/nothing')}\n"
        f"<Directory {_quoted(setting.run + '/nothing')}>\nRequire all granted\n</Directory>\n"
        "</VirtualHost>",
        *hosts,
    ]
    return "\n".join(lines) + "\n"


def host(
    setting: Setting, tenant: Tenant, root: str, lines: Iterable[str], inside: Iterable[str]
) -> str:
    """Return a tenant's virtual host; `lines` are its own, `inside` those of its directory."""
    return "\n".join(
        [
            f"<VirtualHost {setting.host}:{setting.port}>",
            f"ServerName {tenant.name}.localhost",
            f"DocumentRoot {_quoted(root)}",
            *lines,
            f"<Directory {_quoted(root)}>",
            "Require all granted",
            *inside,
            "</Directory>",
            "</VirtualHost>",
        ]
    )


def _processes(setting: Setting, mpm: Mpm) -> list[str]:
    """Return the lines that make as many processes as a mode has workers.

    The threaded MPM has twice as many threads as that: with as many, connections that are kept
    alive were seen to break.
    """
    count = setting.processes
    if mpm == "event":
        threads = 2 * count
        return [
            f"LoadModule mpm_event_module {module_file('mpm_event')}",
            "StartServers 1",
            "ServerLimit 1",
            f"ThreadLimit {threads}",
            f"ThreadsPerChild {threads}",
            f"MaxRequestWorkers {threads}",
            "MinSpareThreads 1",
            f"MaxSpareThreads {threads}",
            "MaxConnectionsPerChild 0",
        ]
    itk = [f"LoadModule mpm_itk_module {MODULES}/mpm_itk.so"] if mpm == "itk" else []
    return [
        f"LoadModule mpm_prefork_module {module_file('mpm_prefork')}",
        *itk,
        f"StartServers {count}",
        f"ServerLimit {count}",
        f"MaxRequestWorkers {count}",
        "MinSpareServers 1",
        f"MaxSpareServers {count + 1}",
        "MaxConnectionsPerChild 0",
    ]


def _quoted(path: str) -> str:
    return f'"{path}"'
