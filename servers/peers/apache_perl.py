"""mod_perl: all tenants' scripts in the server's own processes, compiled once (Registry)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from servers.peer import Need, Peer
from servers.peers import _apache

_REGISTRY = """<FilesMatch \\.pl$>
SetHandler perl-script
PerlResponseHandler ModPerl::Registry
PerlOptions +ParseHeaders
Options FollowSymLinks ExecCGI
</FilesMatch>"""


class Product(Peer):
    """Perl inside Apache's processes, every script with the server's identity."""

    precedent = "Apache httpd + mod_perl (Registry)"
    beside = "dso"
    runs_as = "server"
    language = "perl"
    needs = (_apache.APACHE, Need(_apache.module_file("perl"), "libapache2-mod-perl2"))
    version_command = ("perl", "-v")

    def files(self) -> Mapping[str, str]:
        """Return httpd.conf."""
        hosts = [
            _apache.host(self.setting, tenant, tenant.site, (), ())
            for tenant in self.setting.tenants
        ]
        modules = [("perl_module", _apache.module_file("perl"))]
        common = [_REGISTRY, "PerlModule ModPerl::Registry"]
        return {
            "httpd.conf": _apache.configuration(self.setting, "prefork", modules, hosts, common)
        }

    def commands(self) -> Sequence[Sequence[str]]:
        """Return httpd's command."""
        return (_apache.command(self.setting),)
