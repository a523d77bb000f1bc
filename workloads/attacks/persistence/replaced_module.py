"""Leave a module of one's own under a name that the next tenant imports."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from workloads.attacks.scene import Given, Scene

CONTROL = "careless_rest"


def attack(given: Given) -> object:
    import sys
    import types

    module = types.ModuleType("locale")
    module.localeconv = lambda word=given.token: {"decimal_point": word}  # type: ignore[attr-defined]
    sys.modules["locale"] = module
    return "replaced"


def proof(scene: Scene) -> str | None:
    if scene.token.encode() in scene.visit().body:
        return "the neighbour's script called the attacker's function"
    return None
