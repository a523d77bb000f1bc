"""Change a file of the neighbour's."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from workloads.attacks.scene import Given, Scene

ONE_STEP = True


def attack(given: Given) -> object:
    with open(f"{given.neighbour}/data/app.db", "ab") as file:
        file.write(given.token.encode())
    return "written"


def proof(scene: Scene) -> str | None:
    if scene.token.encode() in (scene.neighbour / "data" / "app.db").read_bytes():
        return "the neighbour's database holds the attacker's word"
    return None
