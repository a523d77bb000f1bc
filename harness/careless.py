"""`python -m harness.careless`: `python -m servers`, with doubles in the place of the modes.

Runs in the server's process, so it imports nothing of the harness.
"""

from __future__ import annotations

import sys
from typing import Final

from servers import __main__, modes
from servers.mode import IsolationMode, RunsAs
from servers.modes import dso
from servers.script import Embedded, server_environment


class Careless(dso.Mode):
    """Runs every script as root in the worker, and lets it keep whatever it finds there."""

    precedent = "none"
    runs_as = RunsAs.SERVER

    def child_init(self) -> None:
        """Stay root."""
        self._interpreter = Embedded(self.setting.limits.output, self.setting.code_cache)
        self._environment = server_environment()


DOUBLES: Final[dict[str, type[IsolationMode]]] = {"careless": Careless}


def load(name: str) -> type[IsolationMode]:
    """Return the class of a double. Raises KeyError."""
    return DOUBLES[name]


if __name__ == "__main__":
    modes.load = load
    sys.exit(__main__.main())
