"""Passenger: its own watchdog and core beside Apache, with application processes a tenant."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from servers.peer import Need, Peer, Tenant
from servers.peers import _apache, _wsgi

_ROOT = Need(
    "/usr/lib/ruby/vendor_ruby/phusion_passenger/locations.ini", "libapache2-mod-passenger"
)


class Product(Peer):
    """Apache passes each request to Passenger, which keeps processes of each tenant."""

    precedent = "Apache httpd + Phusion Passenger (WSGI)"
    beside = "fastcgi"
    runs_as = "owner"
    language = "python"
    needs = (
        _apache.APACHE,
        Need(_apache.module_file("passenger"), "libapache2-mod-passenger"),
        _ROOT,
        Need("/usr/bin/python3", "python3"),
    )
    version_command = ("/usr/bin/python3", "-V")
    wants_own_copies = True

    def files(self) -> Mapping[str, str]:
        """Return httpd.conf, and in each tenant's copy an application."""
        modules = [("passenger_module", _apache.module_file("passenger"))]
        hosts = [self._host(tenant) for tenant in self.setting.tenants]
        applications = {
            f"own/{tenant.name}/passenger_wsgi.py": _wsgi.application(tenant.own)
            for tenant in self.setting.tenants
        }
        keep = {f"own/{tenant.name}/public/.keep": "" for tenant in self.setting.tenants}
        return {
            "httpd.conf": _apache.configuration(
                self.setting, "event", modules, hosts, self._common()
            ),
            **applications,
            **keep,
            "passenger/.keep": "",  # its registry, which applications have to reach
        }

    def commands(self) -> Sequence[Sequence[str]]:
        """Return httpd's command."""
        return (_apache.command(self.setting),)

    def sockets(self) -> Sequence[str]:
        """Return where Passenger's core listens: until then httpd finds nothing but files."""
        return (f"{self.setting.run}/passenger/passenger.*/agents.s/core",)

    def _common(self) -> Sequence[str]:
        return (
            f"PassengerRoot {_ROOT.pattern}",
            "PassengerDefaultRuby /usr/bin/ruby",
            "PassengerPython /usr/bin/python3",
            f'PassengerInstanceRegistryDir "{self.setting.run}/passenger"',
            "PassengerDisableSecurityUpdateCheck On",
            "PassengerDisableAnonymousTelemetry On",
            "PassengerLogLevel 0",
            "PassengerLogFile /dev/stderr",
            "PassengerPoolIdleTime 0",
            f"PassengerMaxPoolSize {2 * len(self.setting.tenants)}",
            "PassengerMinInstances 1",
        )

    def _host(self, tenant: Tenant) -> str:
        lines = [
            f'PassengerAppRoot "{tenant.own}"',
            "PassengerAppType wsgi",
            "PassengerStartupFile passenger_wsgi.py",
            f"PassengerUser {tenant.name}",
            f"PassengerGroup {tenant.name}",
        ]
        return _apache.host(self.setting, tenant, f"{tenant.own}/public", lines, ())
