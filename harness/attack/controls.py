"""Deliberately weak servers, on which attacks must succeed: the positive controls.

None is a mode or a product, and no list has them. Each is a real server, started as those of the
modes or the products, with one protection after the other left out.
"""

from __future__ import annotations

from typing import Final

from harness.target.server import Server
from harness.target.targets import PEER, PEER_PROGRAM, Target, choose

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
    "careless_php": "server",
    "careless_php_switch": "owner",
    "careless_php_guard": "server",
    "careless_perl": "server",
}
"""The doubles, each with whose identity its scripts have by right."""

_OF_PRODUCTS: Final = {"careless_php": "php", "careless_perl": "perl"}
"""How the names of those begin that stand for products, each with the language of its scripts."""


class DoubleServer(Server):
    """A double as a running process."""

    def command(self) -> tuple[list[str], dict[str, str]]:
        """Return the command that starts it, and its environment."""
        command, environment = super().command()
        usual, double = "servers", "servers.controls.careless"
        if self._target.is_peer:
            usual, double = PEER_PROGRAM, "servers.controls.careless_peer"
        command[command.index(usual)] = double
        return command, environment


def find(name: str) -> Target:
    """Return a double as a target of attacks; or a mode or product, where that is weak enough."""
    if name not in RUNS_AS:
        return choose([name], peers=True)[0]
    languages = [_OF_PRODUCTS[start] for start in _OF_PRODUCTS if name.startswith(start)]
    return Target(
        name=name,
        mode=name,
        precedent="none",
        runs_as=RUNS_AS[name],
        summary="Weak on purpose, to see attacks succeed.",
        options={},
        kind=PEER if languages else "double",
        language=languages[0] if languages else "python",
    )


def server_class(name: str) -> type[Server]:
    """Return how a target's server is started, by its name."""
    return DoubleServer if name in RUNS_AS else Server
