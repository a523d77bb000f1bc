"""mod_perl: all tenants' scripts in the server's own processes, compiled once (Registry)."""

from __future__ import annotations

from collections.abc import Sequence

from servers.peer import Need
from servers.peers import _apache

_REGISTRY = """<FilesMatch \\.pl$>
SetHandler perl-script
PerlResponseHandler ModPerl::Registry
PerlOptions +ParseHeaders
Options FollowSymLinks ExecCGI
</FilesMatch>"""


class Product(_apache.Httpd):
    """Perl inside Apache's processes, every script with the server's identity."""

    precedent = "Apache httpd + mod_perl (Registry)"
    beside = "dso"
    runs_as = "server"
    language = "perl"
    needs = (_apache.APACHE, Need(_apache.module_file("perl"), "libapache2-mod-perl2"))
    version_command = ("perl", "-v")
    mpm = "prefork"

    def modules(self) -> Sequence[tuple[str, str]]:
        """Return mod_perl."""
        return (_apache.standard_module("perl"),)

    def common(self) -> Sequence[str]:
        """Have Registry run scripts."""
        return (_REGISTRY, "PerlModule ModPerl::Registry")
