"""Leave a changed function in a module that the next tenant imports."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from workloads.attacks.scene import Given, Scene


def before(scene: Scene) -> None:
    scene.visit()  # so that the module has been loaded in whatever serves the neighbour


def attack(given: Given) -> object:
    import json

    real, token = json.dumps, given.token

    def adding(value: object, **named: object) -> str:
        return real({"report": value, "added": token}, **named)  # type: ignore[arg-type]

    json.dumps = adding  # type: ignore[assignment]
    return "patched"


def proof(scene: Scene) -> str | None:
    if scene.token.encode() in scene.visit().body:
        return "the neighbour's page has the attacker's word in it"
    return None
