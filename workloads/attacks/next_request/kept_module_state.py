"""Leave a word in a module, where the tenant's next request finds it."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from workloads.attacks.scene import Given, Scene


def attack(given: Given) -> object:
    import json

    vars(json)["left"] = given.token
    return "left"


def proof(scene: Scene) -> str | None:
    found = scene.next_request(
        "import json\nprint('Content-Type: text/plain\\n')\nprint(vars(json).get('left'))\n"
    ).body
    if scene.token.encode() in found:
        return "the next request found what was left in a module"
    return None
