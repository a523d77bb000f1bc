"""Leave a module of one's own under a name that the next tenant imports."""

from __future__ import annotations

# Not from `typing`: a server notices that a script was the first to load a module.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from workloads.attacks.scene import Given, Scene

CONTROL = "careless_rest"
REPLACED = "locale"


def before(scene: Scene) -> None:
    # So that whatever serves the neighbour has loaded it before: a module more would be noticed.
    scene.visit()


def attack(given: Given) -> object:
    import sys

    module: Any = type(sys)("locale")
    module.localeconv = lambda word=given.token: {"decimal_point": word}
    sys.modules["locale"] = module
    return "replaced"


def proof(scene: Scene) -> str | None:
    if scene.token.encode() in scene.visit().body:
        return f"the neighbour's script called the attacker's function in the place of {REPLACED}'s"
    return None
