"""Deliberately weak servers, on which attacks must succeed: the positive controls.

None is a mode, and no list of modes has them. Each is a real server, started as those of the modes,
with one protection after the other left out.
"""

from __future__ import annotations

from harness.target.server import Server
from harness.target.targets import Target, choose

RUNS_AS = {
    "careless": "server",
    "careless_switch": "owner",
    "careless_helper": "server",
    "careless_time": "server",
    "careless_open": "server",
    "careless_oversight": "server",
    "careless_output": "server",
    "careless_rest": "server",
    "careless_guard": "server",
    "careless_wrapper": "owner",
}
"""The doubles, each with whose identity its scripts have by right."""


class DoubleServer(Server):
    """A double as a running process."""

    def command(self) -> tuple[list[str], dict[str, str]]:
        """Return the command that starts it, and its environment."""
        command, environment = super().command()
        command[command.index("servers")] = "servers.controls.careless"
        return command, environment


def find(name: str) -> Target:
    """Return a double as a target of attacks; or a mode, where that is weak enough."""
    if name not in RUNS_AS:
        return choose([name])[0]
    return Target(
        name=name,
        mode=name,
        precedent="none",
        runs_as=RUNS_AS[name],
        summary="Weak on purpose, to see attacks succeed.",
        options={},
        kind="double",
    )


def server_class(name: str) -> type[Server]:
    """Return how a target's server is started, by its name."""
    return DoubleServer if name in RUNS_AS else Server
