"""Include the neighbour's private file of settings, as code, and get its variables."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from workloads.attacks.scene import Given, Scene

PRECEDENT = "CVE-2015-8994: PHP's opcache gave any user's script the cached files of others"
ONE_STEP = True

# What a cache of compiled code hands out is not opened, and nobody asks who may.
_SETTINGS = "password = '@word@'\n"
_SITE = """
import runpy
password = runpy.run_path("settings.py")["password"]
print("Content-Type: text/plain\\n\\nconnected with", len(password), "characters")
"""


def before(scene: Scene) -> None:
    scene.put("settings.py", _SETTINGS.replace("@word@", _word(scene)), private=True)
    scene.put("uses_settings.py", _SITE)


def missing(scene: Scene) -> str | None:
    if b"connected with" in scene.visit("uses_settings.py").body:
        return None
    return "the neighbour's own script may not read such a file"


def attack(given: Given) -> object:
    import runpy

    return runpy.run_path(f"{given.neighbour}/settings.py")["password"]


def proof(scene: Scene) -> str | None:
    return scene.brought_back(_word(scene), "a variable of the neighbour's private file")


def _word(scene: Scene) -> str:
    return f"pw-{scene.token[::-1]}"
