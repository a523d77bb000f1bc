"""Put a file into the neighbour's site."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from workloads.attacks.scene import Given, Scene

ONE_STEP = True


def attack(given: Given) -> object:
    with open(f"{given.neighbour}/planted.py", "w") as file:
        file.write(given.token)
    return "written"


def proof(scene: Scene) -> str | None:
    planted = scene.neighbour / f"planted{scene.suffix}"
    return "the neighbour's site has a file of the attacker's" if planted.exists() else None
