"""Deliberately weak servers, on which attacks must succeed: the positive controls.

None is a mode, and no list of modes has them. Each is a real server, started as those of the modes,
with one protection after the other left out.
"""

from __future__ import annotations

from harness.server import Server
from harness.targets import Target

NAMES = ("careless", "careless_guard", "careless_wrapper")


class DoubleServer(Server):
    """A double as a running process."""

    def command(self) -> tuple[list[str], dict[str, str]]:
        """Return the command that starts it, and its environment."""
        command, environment = super().command()
        command[command.index("servers")] = "harness.careless"
        return command, environment


def target(name: str) -> Target:
    """Return a double as a target of attacks."""
    return Target(
        name=name,
        mode=name,
        precedent="none",
        runs_as="server",
        summary="Weak on purpose, to see attacks succeed.",
        options={},
        kind="double",
    )


def server_class(name: str) -> type[Server]:
    """Return how a target's server is started, by its name."""
    return DoubleServer if name in NAMES else Server
