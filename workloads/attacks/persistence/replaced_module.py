"""Leave a module of one's own under a name that the next tenant imports."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from workloads.attacks.scene import Given, Scene

CONTROL = "careless_rest"
REPLACED = "locale"


def before(scene: Scene) -> None:
    # So that whatever serves the neighbour has loaded it before: a module more would be noticed.
    scene.visit()


def attack(given: Given) -> object:
    import sys
    import types

    module = types.ModuleType("locale")
    module.localeconv = lambda word=given.token: {"decimal_point": word}  # type: ignore[attr-defined]
    sys.modules["locale"] = module
    return "replaced"


def proof(scene: Scene) -> str | None:
    if scene.token.encode() in scene.visit().body:
        return f"the neighbour's script called the attacker's function in the place of {REPLACED}'s"
    return None
