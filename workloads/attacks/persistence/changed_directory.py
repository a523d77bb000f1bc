"""Leave another working directory."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from workloads.attacks.scene import Given, Scene

CONTROL = "careless_rest"


def attack(given: Given) -> object:
    import os

    os.chdir(given.drop)
    with open("config.secret", "w") as file:
        file.write("x" * 7)
    return "changed"


def proof(scene: Scene) -> str | None:
    if b'"works": 7,' in scene.visit().body:
        return "the neighbour's script worked with the attacker's file"
    return None
