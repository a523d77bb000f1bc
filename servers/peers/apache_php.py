"""mod_php: all tenants' scripts in the server's own processes, with its identity."""

from __future__ import annotations

from servers.peers._embedded import EmbeddedPhp


class Product(EmbeddedPhp):
    """PHP inside Apache's processes, every script with the server's identity."""

    precedent = "Apache httpd + mod_php"
    beside = "dso"
    runs_as = "server"
