"""Apache's suEXEC wrapper, whose document root Debian's variant reads from a file."""

from __future__ import annotations

from typing import Final

from servers.peer import Need
from servers.peers import _apache

WRAPPER: Final = Need("/usr/lib/apache2/suexec-custom", "apache2-suexec-custom")
MODULE: Final = _apache.standard_module("suexec")


def line(name: str) -> str:
    """Return the line of a virtual host whose programs the wrapper starts as this tenant."""
    return f"SuexecUserGroup {name} {name}"
