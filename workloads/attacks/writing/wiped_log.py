"""Empty the server's log."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from workloads.attacks.scene import Given, Scene

ONE_STEP = True


def attack(given: Given) -> object:
    import os

    os.ftruncate(2, 0)
    return "wiped"


def missing(scene: Scene) -> str | None:
    scene.visit()  # writes its secret to the log
    return None if scene.secret in scene.log.read_text() else "the log has nothing to be wiped"


def proof(scene: Scene) -> str | None:
    if scene.secret not in scene.log.read_text():
        return "what the neighbour's script had written to the log is gone"
    return None
