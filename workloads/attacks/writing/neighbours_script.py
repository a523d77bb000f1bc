"""Change the neighbour's script."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from workloads.attacks.scene import Given, Scene

ONE_STEP = True


def attack(given: Given) -> object:
    with open(f"{given.neighbour}/witness.py", "a") as file:
        file.write(f"\nprint({given.token!r})\n")
    return "written"


def proof(scene: Scene) -> str | None:
    if scene.token in (scene.neighbour / f"witness{scene.suffix}").read_text():
        return "the neighbour's script has a line of the attacker's"
    return None
