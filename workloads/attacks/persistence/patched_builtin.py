"""Leave a builtin that changes what the next tenant's script does."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import Any

    from workloads.attacks.scene import Given, Scene


def attack(given: Given) -> object:
    import builtins

    real, token = builtins.print, given.token

    def adding(*values: object, file: Any = None) -> None:
        real(*values, token, file=file)

    vars(builtins)["print"] = adding
    return "patched"


def proof(scene: Scene) -> str | None:
    if scene.token.encode() in scene.visit().body:
        return "the neighbour's page has the attacker's word in it"
    return None
