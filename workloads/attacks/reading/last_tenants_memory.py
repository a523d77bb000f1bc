"""Find what the last tenant has left in the memory of the process."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from workloads.attacks.scene import Given, Scene

PRECEDENT = "CWE-226: memory that is used again without having been cleared"
ONE_STEP = True


def attack(given: Given) -> object:
    return given.search("self", rb"[0-9a-f]{24,32}")


def missing(scene: Scene) -> str | None:
    # Of many lengths, since what has been freed is taken again by what is as long.
    secret = scene.secrets["request"]
    lengths = range(0, 600, 50)
    served = [scene.visit(**{"X-Planted": secret + "z" * more}).status == 200 for more in lengths]
    return None if all(served) else "the neighbour was not served before"


def proof(scene: Scene) -> str | None:
    return scene.brought_back(
        scene.secrets["request"], "a header of the neighbour's last request"
    ) or scene.brought_back(scene.secret, "what the neighbour's last request read")
