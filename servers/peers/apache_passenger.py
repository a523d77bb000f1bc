"""Passenger: its own watchdog and core beside Apache, with application processes a tenant."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from servers.peer import Need, Tenant
from servers.peers import _apache, _wsgi

_ROOT = Need(
    "/usr/lib/ruby/vendor_ruby/phusion_passenger/locations.ini", "libapache2-mod-passenger"
)


class Product(_apache.Httpd):
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
    mpm = "event"

    def files(self) -> Mapping[str, str]:
        """Return httpd.conf, and in each tenant's copy an application."""
        applications = {
            f"own/{tenant.name}/passenger_wsgi.py": _wsgi.application(tenant.own)
            for tenant in self.setting.tenants
        }
        keep = {f"own/{tenant.name}/public/.keep": "" for tenant in self.setting.tenants}
        return {
            **super().files(),
            **applications,
            **keep,
            "passenger/.keep": "",  # its registry, which applications have to reach
        }

    def sockets(self) -> Sequence[str]:
        """Return where Passenger's core listens: until then httpd finds nothing but files."""
        return (f"{self.setting.run}/passenger/passenger.*/agents.s/core",)

    def modules(self) -> Sequence[tuple[str, str]]:
        """Return Passenger's."""
        return (_apache.standard_module("passenger"),)

    def common(self) -> Sequence[str]:
        """Set up Passenger for all tenants."""
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

    def root(self, tenant: Tenant) -> str:
        """Return the application's directory of static files, from which Passenger takes it."""
        return f"{tenant.own}/public"

    def lines(self, tenant: Tenant) -> Sequence[str]:
        """Say which application it is, and whose."""
        return (
            f'PassengerAppRoot "{tenant.own}"',
            "PassengerAppType wsgi",
            "PassengerStartupFile passenger_wsgi.py",
            f"PassengerUser {tenant.name}",
            f"PassengerGroup {tenant.name}",
        )
