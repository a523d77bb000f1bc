"""Leave a variable in the environment."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from workloads.attacks.scene import Given, Scene

CONTROL = "careless_rest"


def attack(given: Given) -> object:
    import os

    os.environ["PLANTED"] = given.token
    return "planted"


def proof(scene: Scene) -> str | None:
    if scene.token.encode() in scene.visit().body:
        return "the neighbour's script has the attacker's variable"
    return None
