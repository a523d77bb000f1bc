"""Have the server run a symbolic link that leads to the neighbour's script."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from workloads.attacks.scene import Given, Scene

PRECEDENT = "CWE-61: a symbolic link in a place that another user writes to"
CONTROL = "careless_open"


def attack(given: Given) -> object:
    import os

    # The neighbour's script reads the one in its own directory, which is where the link is.
    with open(f"{given.drop}/config.secret", "w") as file:
        file.write("the attacker's own")
    os.symlink(f"{given.neighbour}/witness.py", f"{given.drop}/borrowed.py")
    return "planted"


def proof(scene: Scene) -> str | None:
    answer = scene.fetch("drop/borrowed.py")
    if b'"works"' in answer.body:
        return "the server ran the neighbour's script under the attacker's name"
    return None
