"""mod_cgi: a worker forks and executes the script, with the server's identity."""

from __future__ import annotations

from servers.peers import _apache
from servers.peers._cgi import Cgi


class Product(Cgi):
    """Executes each script as a program of its own, with the server's identity."""

    precedent = "Apache httpd + mod_cgi"
    beside = "cgi"
    runs_as = "server"
    needs = (_apache.APACHE,)
